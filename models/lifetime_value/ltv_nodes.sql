with factor_keys as (
    select * from {{ ref('ltv_factor_keys') }}
),

scoring_fits as (
    select * from {{ ref('ltv_scoring_fits') }}
),

fits as (
    select distinct
        scope,
        cutoff_date,
        a,
        b,
        first_purchase_exits
    from scoring_fits
),

frequencies as (
    select distinct
        scope,
        cutoff_date,
        frequency
    from factor_keys
),

-- given that the customer is alive, p ~ Beta(a, b_alive)
posteriors as (
    select
        frequencies.scope,
        frequencies.cutoff_date,
        frequencies.frequency,
        fits.a,
        fits.b + frequencies.frequency + fits.first_purchase_exits as b_alive
    from frequencies
    inner join fits
        on
            frequencies.scope = fits.scope
            and frequencies.cutoff_date = fits.cutoff_date
),

-- v = ln(p / (1 - p)) = center + 4 sinh(u): equal steps of u reach both tails down to e^-28
ranges as (
    select
        *,
        ln(a / b_alive) as center,
        -asinh((ln(1.0 + 28.0 / b_alive) + 1.0 + 28.0 / a) / 4.0) as u_first,
        asinh((ln(1.0 + 28.0 / a) + 1.0 + 28.0 / b_alive) / 4.0) as u_last
    from posteriors
),

places as (
    select
        ranges.*,
        numbers.node,
        ranges.u_first + (numbers.node + 0.5) * (ranges.u_last - ranges.u_first) / 128.0 as u
    from ranges
    cross join {{ ltv_node_numbers() }}
),

logits as (
    select
        *,
        center + 4.0 * sinh(u) as v
    from places
),

densities as (
    select
        scope,
        cutoff_date,
        frequency,
        node,
        -{{ softplus('-v') }} as log_p,
        -{{ softplus('v') }} as log_stay,
        -- relative to the density at the center, so that no gamma function is needed
        exp(
            a * ({{ softplus('-center') }} - {{ softplus('-v') }})
            + b_alive * ({{ softplus('center') }} - {{ softplus('v') }})
        ) * cosh(u) as density
    from logits
),

final as (
    select
        scope,
        cutoff_date,
        frequency,
        node,
        greatest(exp(log_p), 1e-280) as p,
        log_p,
        log_stay,
        density / sum(density) over (partition by scope, cutoff_date, frequency) as weight
    from densities
)

select
    scope,
    cutoff_date,
    frequency,
    node,
    p,
    log_p,
    log_stay,
    weight
from final
