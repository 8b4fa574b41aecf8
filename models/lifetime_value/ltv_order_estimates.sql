{{ config(materialized='view') }} {#- read once, by the next step -#}
{%- set horizons = ltv_horizons() -%}
with customers as (
    select * from {{ ref('int_customer_snapshots') }}
),

segments as (
    select * from {{ ref('macro_customer_snapshots') }}
),

scoring_fits as (
    select * from {{ ref('ltv_scoring_fits') }}
),

factors as (
    select * from {{ ref('ltv_factors') }}
),

buyers as (
    select
        customers.snapshot_date,
        customers.customer_id,
        customers.frequency,
        customers.recency_days,
        customers.age_days,
        customers.repeat_spend,
        customers.net_revenue,
        segments.macro_segment,
        scoring_fits.scope,
        scoring_fits.cutoff_date,
        scoring_fits.r,
        scoring_fits.alpha,
        scoring_fits.b,
        {%- for name in ltv_triangle_columns('step') %}
        scoring_fits.{{ name }},
        {%- endfor %}
        scoring_fits.cutoff_date is not null as is_modelled,
        -- Without a usable fit: the customer's own rate, with 90 days of everybody's rate added, and nobody ever leaves
        coalesce(scoring_fits.r, 90.0 * scoring_fits.pooled_orders_per_day) + customers.frequency as n,
        coalesce(scoring_fits.alpha, 90.0 / 7.0) + customers.age_days / cast(7.0 as double) as age,
        scoring_fits.alpha + customers.recency_days / cast(7.0 as double) as age_at_last_order,
        -- BG/NBD has no exit before the first repeat purchase: null, and the customer is alive
        case
            when customers.frequency + scoring_fits.first_purchase_exits > 0
                then scoring_fits.b + customers.frequency + scoring_fits.first_purchase_exits - 1
        end as exit_b,
        scoring_fits.a
    from customers
    inner join segments
        on
            customers.snapshot_date = segments.snapshot_date
            and customers.customer_id = segments.customer_id
    inner join scoring_fits
        on
            segments.snapshot_date = scoring_fits.snapshot_date
            and segments.macro_segment = scoring_fits.macro_segment
    where
        customers.snapshot_date in ({{ snapshots_to_build() }})
        and customers.is_buyer
),

exits as (
    select
        *,
        -- ln of the odds that the customer has left since the last order
        ln(a / exit_b) + n * (ln(age) - ln(age_at_last_order)) as log_odds_left
    from buyers
),

alive as (
    select
        *,
        case when is_modelled and frequency is not null then coalesce({{ one_minus_sigmoid('log_odds_left') }}, 1.0) end
            as probability_alive
    from exits
),

-- d ln(probability_alive) / d ln(parameter)
alive_changes as (
    select
        *,
        -(1.0 - probability_alive) * r * (ln(age) - ln(age_at_last_order)) as alive_by_r,
        -(1.0 - probability_alive) * n * alpha * (1.0 / age - 1.0 / age_at_last_order) as alive_by_alpha,
        -(1.0 - probability_alive) as alive_by_a,
        coalesce((1.0 - probability_alive) * b / exit_b, 0.0) as alive_by_b
    from alive
),

alive_shifts as (
    select
        {%- for direction in ltv_order_parameters() %}
        {{ ltv_shift('alive_by_', 'step_', ltv_order_parameters(), direction) }} as alive_shift_{{ loop.index }},
        {%- endfor %}
        *
    from alive_changes
),

final as (
    select
        alive.snapshot_date,
        alive.customer_id,
        alive.macro_segment,
        alive.frequency,
        alive.repeat_spend,
        alive.net_revenue,
        alive.scope,
        alive.cutoff_date,
        alive.is_modelled,
        alive.probability_alive,
        {%- for days in horizons %}
        case
            when alive.is_modelled then alive.probability_alive * factors.orders_{{ days }}d
            else alive.n / alive.age * {{ days }} / 7.0
        end as expected_orders_{{ days }}d,
        case
            when alive.is_modelled then alive.probability_alive * factors.discounted_orders_{{ days }}d
            else alive.n / alive.age * {{ ltv_discounted_weeks(days) }}
        end as discounted_orders_{{ days }}d,
        case
            when alive.is_modelled then alive.probability_alive * factors.order_pairs_{{ days }}d
            else alive.n * (alive.n + 1.0) * pow({{ days }} / (7.0 * alive.age), 2)
        end as order_pairs_{{ days }}d,
        -- of the orders given alive, and of being alive; a plain estimate has no parameters to move
        {%- for direction in ltv_order_parameters() %}
        coalesce(factors.log_orders_{{ days }}d_shift_{{ loop.index }} + alive.alive_shift_{{ loop.index }}, 0.0)
            as log_orders_{{ days }}d_shift_{{ loop.index }},
        {%- endfor %}
        {%- endfor %}
        -- by then half of such customers, if alive, have ordered: the median of the waiting time
        7.0 * alive.age * (pow(2.0, 1.0 / greatest(alive.n, 0.01)) - 1.0) as next_order_days
    from alive_shifts as alive
    left join factors
        on
            alive.scope = factors.scope
            and alive.cutoff_date = factors.cutoff_date
            and alive.frequency = factors.frequency
            and alive.age_days = factors.age_days
)

select
    snapshot_date,
    customer_id,
    macro_segment,
    frequency,
    repeat_spend,
    net_revenue,
    scope,
    cutoff_date,
    is_modelled,
    probability_alive,
    {%- for days in horizons %}
    expected_orders_{{ days }}d,
    discounted_orders_{{ days }}d,
    order_pairs_{{ days }}d,
    {%- for direction in ltv_order_parameters() %}
    log_orders_{{ days }}d_shift_{{ loop.index }},
    {%- endfor %}
    {%- endfor %}
    next_order_days
from final
