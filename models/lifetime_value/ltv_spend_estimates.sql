{{ config(materialized='view') }} {#- read once, by the next step -#}
{%- set horizons = ltv_horizons() -%}
with order_estimates as (
    select * from {{ ref('ltv_order_estimates') }}
),

scoring_fits as (
    select * from {{ ref('ltv_scoring_fits') }}
),

buyers as (
    select
        order_estimates.*,
        scoring_fits.p,
        scoring_fits.q,
        scoring_fits.gamma,
        {%- for name in ltv_triangle_columns('step') %}
        scoring_fits.{{ name }},
        {%- endfor %}
        scoring_fits.pooled_spend,
        coalesce(scoring_fits.is_spend_modelled, false) as is_spend_modelled,
        cast(coalesce(order_estimates.repeat_spend, 0) as double) as spend,
        scoring_fits.p * order_estimates.frequency + scoring_fits.q as shape
    from order_estimates
    inner join scoring_fits
        on
            order_estimates.snapshot_date = scoring_fits.snapshot_date
            and order_estimates.macro_segment = scoring_fits.macro_segment
),

spent as (
    select
        *,
        -- Without a usable fit: the customer's own mean, with one order of everybody's mean added
        case
            when is_spend_modelled then p * (gamma + spend) / (shape - 1.0)
            else (spend + pooled_spend) / (frequency + 1.0)
        end as expected_spend,
        -- E[m^2] / E[m]^2 of the customer's own mean m. It does not exist for shape <= 2: bounded at 10.
        case
            when is_spend_modelled then (shape - 1.0) / greatest(shape - 2.0, 0.1 * (shape - 1.0))
            else (frequency + 2.0) / (frequency + 1.0)
        end as spend_spread,
        -- variance of one order's amount, over m^2
        case when is_spend_modelled then 1.0 / p else 1.0 end as amount_spread,
        -- d ln(expected_spend) / d ln(parameter)
        case when is_spend_modelled then 1.0 - p * frequency / (shape - 1.0) end as spend_by_p,
        case when is_spend_modelled then -q / (shape - 1.0) end as spend_by_q,
        case when is_spend_modelled then gamma / (gamma + spend) end as spend_by_gamma
    from buyers
),

final as (
    select
        {%- for direction in ltv_spend_parameters() %}
        coalesce({{ ltv_shift('spend_by_', 'step_', ltv_spend_parameters(), direction) }}, 0.0)
            as log_spend_shift_{{ loop.index }},
        {%- endfor %}
        *
    from spent
)

select
    snapshot_date,
    customer_id,
    macro_segment,
    frequency,
    net_revenue,
    scope,
    cutoff_date,
    is_modelled,
    is_spend_modelled,
    probability_alive,
    {%- for days in horizons %}
    expected_orders_{{ days }}d,
    discounted_orders_{{ days }}d,
    order_pairs_{{ days }}d,
    {%- for direction in ltv_order_parameters() %}
    log_orders_{{ days }}d_shift_{{ loop.index }},
    {%- endfor %}
    {%- endfor %}
    next_order_days,
    expected_spend,
    spend_spread,
    {%- for direction in ltv_spend_parameters() %}
    log_spend_shift_{{ loop.index }},
    {%- endfor %}
    amount_spread
from final
