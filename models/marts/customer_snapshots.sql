with customers as (

    select * from {{ ref('int_customer_snapshots') }}

),

snapshot_dates as (

    select
        *,
        lag(snapshot_date) over (order by snapshot_date nulls last) as previous_snapshot_date
    from {{ ref('int_snapshot_dates') }}

),

stages as (

    select * from {{ ref('int_lifecycle_snapshots') }}

),

segments as (

    select
        *,
        lag(micro_segment_id) over snapshots_before as previous_micro_segment_id,
        lag(snapshot_date) over snapshots_before as previous_snapshot_date
    from {{ ref('micro_customer_snapshots') }}
    window
        snapshots_before as (partition by customer_id order by snapshot_date nulls last)

),

lifetime_values as (

    select * from {{ ref('ltv_customer_snapshots') }}

),

model_errors as (

    select
        snapshot_date,
        model_error
    from {{ ref('micro_model_errors') }}
    where level = 'micro_segment' and horizon_days = 365

),

final as (

    select
        customers.snapshot_date,
        customers.customer_id,
        snapshot_dates.is_latest,
        snapshot_dates.is_month_end,
        segments.macro_segment,
        segments.micro_segment_id,
        segments.micro_segment,
        segments.previous_micro_segment_id,
        segments.micro_segment_id is not null and (
            segments.previous_snapshot_date is null
            or segments.previous_snapshot_date < snapshot_dates.previous_snapshot_date
            or segments.previous_micro_segment_id <> segments.micro_segment_id
        ) as has_entered_micro_segment,
        stages.lifecycle_stage,
        customers.is_buyer,
        customers.orders,
        customers.revenue,
        customers.net_revenue,
        customers.sessions_90d,
        customers.orders_90d,
        customers.net_revenue_90d,
        customers.orders_365d,
        customers.net_revenue_365d,
        customers.days_since_last_order,
        customers.average_days_between_orders,
        lifetime_values.ltv_status,
        lifetime_values.probability_alive,
        {% for days in ltv_horizons() -%}
        lifetime_values.expected_orders_{{ days }}d,
        {% endfor -%}
        lifetime_values.expected_spend,
        lifetime_values.historic_ltv,
        lifetime_values.predicted_ltv_90d,
        lifetime_values.predicted_ltv_180d,
        lifetime_values.predicted_ltv_365d,
        {% for sign, bound in [['-', 'low'], ['+', 'high']] -%}
        {{ ltv_bound(
            sign, 'lifetime_values.predicted_ltv_365d', 'lifetime_values.predicted_ltv_365d_standard_error',
            'model_errors.model_error'
        ) }} as predicted_ltv_365d_{{ bound }},
        {% endfor -%}
        lifetime_values.predicted_ltv_1095d,
        customers.frequency,
        round(cast(customers.recency_days as double) / 7, 6) as recency_weeks,
        round(cast(customers.age_days as double) / 7, 6) as age_weeks,
        case
            when customers.frequency > 0
                then round(cast(customers.repeat_spend as double) / customers.frequency, 6)
        end as monetary_value
    from customers
    inner join snapshot_dates on customers.snapshot_date = snapshot_dates.snapshot_date
    left join stages
        on customers.snapshot_date = stages.snapshot_date and customers.customer_id = stages.customer_id
    left join segments
        on customers.snapshot_date = segments.snapshot_date and customers.customer_id = segments.customer_id
    left join lifetime_values
        on
            customers.snapshot_date = lifetime_values.snapshot_date
            and customers.customer_id = lifetime_values.customer_id
    left join model_errors on customers.snapshot_date = model_errors.snapshot_date

)

select * from final
