{{ config(materialized='view') }} {#- read once, by the back-test, a few periods at a time -#}
-- What was foretold for each buyer at a month-end, and what the buyer then did.
{% set horizons = ltv_horizons() -%}
with foretold as (

    {% for days in horizons -%}
    select
        snapshot_date,
        {{ days }} as horizon_days,
        customer_id,
        ltv_status,
        expected_orders_{{ days }}d as expected_orders,
        cast(round(expected_orders_{{ days }}d * expected_spend, 6) as decimal(18, 6)) as expected_net_revenue,
        predicted_ltv_{{ days }}d as predicted_ltv,
        predicted_ltv_{{ days }}d_standard_error as standard_error
    from {{ ref('ltv_customer_snapshots') }}
    where predicted_ltv_{{ days }}d is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (

    select
        foretold.snapshot_date,
        foretold.horizon_days,
        foretold.customer_id,
        foretold.ltv_status,
        segments.macro_segment,
        segments.micro_segment_id,
        cast({{ dbt.date_trunc('month', 'customers.first_order_date') }} as date) as cohort_month,
        foretold.expected_orders,
        foretold.expected_net_revenue,
        cast(coalesce(outcomes.purchase_days, 0) as decimal(18, 6)) as actual_orders,
        cast(coalesce(outcomes.net_revenue, 0) as decimal(18, 6)) as actual_net_revenue,
        -- the interval is of discounted margin: stretched to what is compared here
        abs(
            cast(coalesce(outcomes.net_revenue, 0) as double) - cast(foretold.expected_net_revenue as double)
        ) <= 1.959964 * coalesce(
            cast(foretold.expected_net_revenue as double) / nullif(cast(foretold.predicted_ltv as double), 0)
            * sqrt(
                pow(cast(foretold.standard_error as double), 2)
                + pow(coalesce(cast(errors.model_error as double), 0.0) * cast(foretold.predicted_ltv as double), 2)
            ),
            0.0
        ) + 0.005 as is_in_interval
    from foretold
    inner join {{ ref('int_customer_snapshots') }} as customers
        on foretold.snapshot_date = customers.snapshot_date and foretold.customer_id = customers.customer_id
    left join {{ ref('micro_customer_snapshots') }} as segments
        on foretold.snapshot_date = segments.snapshot_date and foretold.customer_id = segments.customer_id
    left join {{ ref('int_outcomes') }} as outcomes
        on
            foretold.snapshot_date = outcomes.snapshot_date
            and foretold.horizon_days = outcomes.horizon_days
            and foretold.customer_id = outcomes.customer_id
    left join {{ ref('micro_model_errors') }} as errors
        on
            foretold.snapshot_date = errors.snapshot_date
            and foretold.horizon_days = errors.horizon_days
            and errors.level = 'micro_segment'

)

select * from final
