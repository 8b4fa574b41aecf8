{%- set horizons = ltv_horizons() -%}
{%- set rule = gauss_legendre() -%}
with factor_keys as (
    select * from {{ ref('ltv_factor_keys') }}
),

nodes as (
    select * from {{ ref('ltv_nodes') }}
),

scoring_fits as (
    select * from {{ ref('ltv_scoring_fits') }}
),

fits as (
    select distinct
        scope,
        cutoff_date,
        {%- for name in ltv_triangle_columns('step') %}
        {{ name }},
        {%- endfor %}
        r,
        alpha,
        a,
        b
    from scoring_fits
),

-- given that the customer is alive, the purchase rate ~ Gamma(n, age)
ages as (
    select
        factor_keys.scope,
        factor_keys.cutoff_date,
        factor_keys.frequency,
        factor_keys.age_days,
        fits.r,
        fits.alpha,
        fits.a,
        fits.b,
        fits.r + factor_keys.frequency as n,
        fits.alpha + factor_keys.age_days / cast(7.0 as double) as age
    from factor_keys
    inner join fits
        on
            factor_keys.scope = fits.scope
            and factor_keys.cutoff_date = fits.cutoff_date
),

taus as (
    select
        {%- for days in horizons %}
        cast({{ days }} as double) / (7.0 * age) as tau_{{ days }}d,
        ln(1.0 + cast({{ days }} as double) / (7.0 * age)) as y_{{ days }}d,
        {%- endfor %}
        *
    from ages
),

-- Purchases are discounted at the moment s they happen. With s = age (e^y - 1) the rate is smooth in y, and a few
-- Gauss-Legendre points between two horizons are enough.
points as (
    select
        *,
        {%- for days in horizons %}
        {%- set from_y = 'y_' ~ horizons[loop.index0 - 1] ~ 'd' if not loop.first else '0.0' %}
        {%- for node, weight in rule %}
        exp({{ from_y }} + (y_{{ days }}d - {{ from_y }}) * {{ node }}) - 1.0 as tau_{{ days }}d_{{ loop.index }},
        (y_{{ days }}d - {{ from_y }}) * {{ weight }} * n * (1.0 + tau_{{ days }}d_{{ loop.index }})
        * exp(-{{ ltv_weekly_discount() }} * age * tau_{{ days }}d_{{ loop.index }})
            as rate_{{ days }}d_{{ loop.index }}
        {{- ',' }}
        {%- endfor %}
        {%- endfor %}
        -(n + 1.0) as decay
    from taus
),

node_values as (
    select
        points.scope,
        points.cutoff_date,
        points.frequency,
        points.age_days,
        points.r,
        points.alpha,
        points.a,
        points.b,
        points.n,
        points.age,
        nodes.weight,
        nodes.p,
        nodes.log_p,
        {%- for days in horizons %}
        points.tau_{{ days }}d,
        nodes.p * points.tau_{{ days }}d as p_tau_{{ days }}d,
        -- ln(1 + p tau), whatever the size of p
        2.0 * atanh(nodes.p * points.tau_{{ days }}d / (2.0 + nodes.p * points.tau_{{ days }}d))
            as log_growth_{{ days }}d,
        {%- endfor %}
        {%- for days in horizons %}
        {%- for node in rule %}
        {{ '+ ' if not loop.first }}points.rate_{{ days }}d_{{ loop.index }}
        * pow(1.0 + nodes.p * points.tau_{{ days }}d_{{ loop.index }}, points.decay)
        {%- endfor %} as discounted_until_{{ days }}d,
        {%- endfor %}
        nodes.log_stay
    from points
    inner join nodes
        on
            points.scope = nodes.scope
            and points.cutoff_date = nodes.cutoff_date
            and points.frequency = nodes.frequency
),

given_p as (
    select
        {%- for days in horizons %}
        {{ ltv_orders_given_p('p', 'n', 'log_growth_' ~ days ~ 'd') }} as orders_{{ days }}d,
        -- (1 + p tau)^-(n + 1)
        exp(-(n + 1.0) * log_growth_{{ days }}d) as survival_{{ days }}d,
        {%- endfor %}
        *
    from node_values
),

expectations as (
    select
        {%- for days in horizons %}
        sum(weight * orders_{{ days }}d) as orders_{{ days }}d,
        sum(weight * discounted_until_{{ days }}d) as discounted_until_{{ days }}d,
        -- E[N (N - 1)], for the variance. Where p n tau is tiny the difference cancels: its limit is taken instead.
        sum(
            weight * exp(log_stay) * case
                when n * p_tau_{{ days }}d < 1e-4 then n * (n + 1.0) * tau_{{ days }}d * tau_{{ days }}d
                else 2.0 * (1.0 - survival_{{ days }}d * (1.0 + (n + 1.0) * p_tau_{{ days }}d)) / (p * p)
            end
        ) as order_pairs_{{ days }}d,
        -- d orders / d ln(parameter)
        max(r) * sum(
            weight * survival_{{ days }}d * (1.0 + p_tau_{{ days }}d) * log_growth_{{ days }}d / p
        ) as orders_{{ days }}d_by_r,
        -max(alpha / age) * sum(weight * n * tau_{{ days }}d * survival_{{ days }}d) as orders_{{ days }}d_by_alpha,
        max(a) * (
            sum(weight * orders_{{ days }}d * log_p) - sum(weight * orders_{{ days }}d) * sum(weight * log_p)
        ) as orders_{{ days }}d_by_a,
        max(b) * (
            sum(weight * orders_{{ days }}d * log_stay) - sum(weight * orders_{{ days }}d) * sum(weight * log_stay)
        ) as orders_{{ days }}d_by_b,
        {%- endfor %}
        scope,
        cutoff_date,
        frequency,
        age_days
    from given_p
    group by scope, cutoff_date, frequency, age_days
),

final as (
    select
        {%- for days in horizons %}
        {% for earlier in horizons if earlier <= days %}{{ ' + ' if not loop.first }}discounted_until_{{ earlier }}d
        {%- endfor %} as discounted_orders_{{ days }}d,
        {%- for direction in ltv_order_parameters() %}
        {{ ltv_shift('expectations.orders_' ~ days ~ 'd_by_', 'fits.step_', ltv_order_parameters(), direction) }}
        / expectations.orders_{{ days }}d as log_orders_{{ days }}d_shift_{{ loop.index }},
        {%- endfor %}
        {%- endfor %}
        expectations.*
    from expectations
    inner join fits
        on
            expectations.scope = fits.scope
            and expectations.cutoff_date = fits.cutoff_date
)

select
    {%- for days in horizons %}
    orders_{{ days }}d,
    discounted_orders_{{ days }}d,
    order_pairs_{{ days }}d,
    {%- for direction in ltv_order_parameters() %}
    log_orders_{{ days }}d_shift_{{ loop.index }},
    {%- endfor %}
    {%- endfor %}
    scope,
    cutoff_date,
    frequency,
    age_days
from final
