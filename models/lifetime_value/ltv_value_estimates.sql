{{ config(materialized='view') }} {#- read for customers and for segments: cheaper computed twice than kept -#}
{%- set horizons = ltv_horizons() -%}
{%- set margin = 'cast(' ~ var('ltv_margin_rate') ~ ' as double)' -%}
with estimates as (
    select * from {{ ref('ltv_spend_estimates') }}
),

valued as (
    select
        *,
        {%- for days in horizons %}
        {{ margin }} * expected_spend * discounted_orders_{{ days }}d as ltv_{{ days }}d,
        coalesce(ltv_{{ days }}d / nullif(expected_orders_{{ days }}d, 0.0), 0.0) as order_value_{{ days }}d,
        {%- endfor %}
        frequency is not null as is_valued
    from estimates
),

-- Process error: how many orders, of what amounts, by a customer whose own mean is not known. Computed without
-- discount, then scaled as the value is.
spread as (
    select
        {%- for days in horizons %}
        order_value_{{ days }}d * order_value_{{ days }}d * greatest(
            spend_spread * (order_pairs_{{ days }}d + (1.0 + amount_spread) * expected_orders_{{ days }}d)
            - expected_orders_{{ days }}d * expected_orders_{{ days }}d,
            0.0
        ) as ltv_{{ days }}d_variance,
        ltv_{{ days }}d * ltv_{{ days }}d * (
            {%- for direction in ltv_order_parameters() %}
            {{ '+ ' if not loop.first }}pow(log_orders_{{ days }}d_shift_{{ loop.index }}, 2)
            {%- endfor %}
            {%- for direction in ltv_spend_parameters() %}
            + pow(log_spend_shift_{{ loop.index }}, 2)
            {%- endfor %}
        ) as ltv_{{ days }}d_parameter_variance,
        {%- endfor %}
        *
    from valued
),

-- Rounded, by the cast, per customer before anything is added up: sums of decimals do not depend on the order of rows.
-- Parameter error: what one standard error along each of seven independent directions adds to the value. Directions are
-- common to all customers of a fit, so within it they are summed first and squared then.
final as (
    select
        snapshot_date,
        customer_id,
        scope,
        cutoff_date,
        case
            when not is_valued then 'none'
            when is_modelled and is_spend_modelled then 'modelled'
            else 'heuristic'
        end as ltv_status,
        cast(probability_alive as decimal(18, 10)) as probability_alive,
        cast(1.0 - probability_alive as decimal(18, 10)) as churn_risk,
        {%- for days in horizons %}
        cast(expected_orders_{{ days }}d as decimal(18, 6)) as expected_orders_{{ days }}d,
        {%- endfor %}
        cast(expected_spend as decimal(18, 6)) as expected_spend,
        case
            when is_valued and next_order_days <= 1095
                then
                    cast(
                        {{ dbt.dateadd('day', 'cast(ceil(next_order_days) as integer)', 'snapshot_date') }} as date
                    )
        end as expected_next_order_date,
        {%- for days in horizons %}
        cast(ltv_{{ days }}d as decimal(18, 2)) as predicted_ltv_{{ days }}d,
        cast(sqrt(ltv_{{ days }}d_variance + ltv_{{ days }}d_parameter_variance) as decimal(18, 4))
            as predicted_ltv_{{ days }}d_standard_error,
        case when is_valued then cast(ltv_{{ days }}d_variance as decimal(38, 4)) end
            as predicted_ltv_{{ days }}d_variance,
        {%- for direction in ltv_order_parameters() %}
        cast(ltv_{{ days }}d * log_orders_{{ days }}d_shift_{{ loop.index }} as decimal(18, 4))
            as predicted_ltv_{{ days }}d_shift_{{ loop.index }},
        {%- endfor %}
        {%- for direction in ltv_spend_parameters() %}
        cast(ltv_{{ days }}d * log_spend_shift_{{ loop.index }} as decimal(18, 4))
            as predicted_ltv_{{ days }}d_shift_{{ ltv_order_parameters() | length + loop.index }},
        {%- endfor %}
        {%- endfor %}
        cast({{ margin }} * cast(net_revenue as double) as decimal(18, 2)) as historic_ltv
    from spread
)

select * from final
