-- What each segment adds up to on each snapshot date: one row per micro-segment, and one per macro-segment
-- (micro_segment_id null).
{% set horizons = ltv_horizons() -%}
{% set lows = [] -%}
with customers as (

    select * from {{ ref('int_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

segments as (

    select * from {{ ref('micro_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

contacts as (

    select * from {{ ref('int_contact_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

predictions as (

    select
        expected.snapshot_date,
        expected.macro_segment,
        expected.micro_segment_id,
        {%- for days in horizons %}
        max(case when expected.horizon_days = {{ days }} then expected.expected_orders end)
            as expected_orders_{{ days }}d,
        max(case when expected.horizon_days = {{ days }} then expected.predicted_ltv end) as predicted_ltv_{{ days }}d,
        {%- for sign, bound in [['-', 'low'], ['+', 'high']] %}
        max(case
            when expected.horizon_days = {{ days }}
                then {{ ltv_bound(sign, 'expected.predicted_ltv', 'expected.standard_error', 'errors.model_error') }}
        end) as predicted_ltv_{{ days }}d_{{ bound }},
        {%- endfor %}
        {%- endfor %}
        count(errors.model_error) > 0 as is_ltv_backtested
    from {{ ref('micro_segment_values') }} as expected
    left join {{ ref('micro_model_errors') }} as errors
        on
            expected.snapshot_date = errors.snapshot_date
            and expected.level = errors.level
            and expected.horizon_days = errors.horizon_days
    where expected.level <> 'all' and expected.snapshot_date in ({{ snapshots_to_build() }})
    group by expected.snapshot_date, expected.macro_segment, expected.micro_segment_id

),

grouped as (

    select
        segments.snapshot_date,
        segments.macro_segment,
        segments.micro_segment_id,
        segments.micro_segment,
        count(*) as customers,
        count_if(customers.is_buyer) as buyers,
        count_if(customers.orders_365d > 0) as active_buyers,
        count_if(
            customers.is_known and coalesce(contacts.is_contactable, {{ var('contactable_without_consent') }})
        ) as email_contactable_customers,
        sum(customers.orders_mtd) as orders_mtd,
        sum(customers.net_revenue_mtd) as net_revenue_mtd,
        sum(customers.net_revenue_365d) as net_revenue_365d
    from segments
    inner join customers
        on segments.snapshot_date = customers.snapshot_date and segments.customer_id = customers.customer_id
    left join contacts
        on segments.snapshot_date = contacts.snapshot_date and segments.customer_id = contacts.customer_id
    group by grouping sets (
        (segments.snapshot_date, segments.macro_segment, segments.micro_segment_id, segments.micro_segment),
        (segments.snapshot_date, segments.macro_segment)
    )

),

final as (

    select
        grouped.snapshot_date,
        grouped.macro_segment,
        grouped.micro_segment_id,
        grouped.micro_segment,
        cast(grouped.customers as bigint) as customers,
        cast(grouped.buyers as bigint) as buyers,
        cast(grouped.active_buyers as bigint) as active_buyers,
        cast(grouped.email_contactable_customers as bigint) as email_contactable_customers,
        cast(grouped.orders_mtd as bigint) as orders_mtd,
        cast(grouped.net_revenue_mtd as decimal(18, 2)) as net_revenue_mtd,
        cast(grouped.net_revenue_365d as decimal(18, 2)) as net_revenue_365d,
        {%- for days in horizons %}
        cast(predictions.expected_orders_{{ days }}d as decimal(18, 2)) as expected_orders_{{ days }}d,
        predictions.predicted_ltv_{{ days }}d,
        -- what is at least earned in fewer days is earned in more, too
        {%- do lows.append('predictions.predicted_ltv_' ~ days ~ 'd_low') %}
        {{ 'greatest(' ~ lows | join(', ') ~ ')' if lows[1:] else lows[0] }} as predicted_ltv_{{ days }}d_low,
        predictions.predicted_ltv_{{ days }}d_high,
        {%- endfor %}
        coalesce(predictions.is_ltv_backtested, false) as is_ltv_backtested
    from grouped
    left join predictions
        on
            grouped.snapshot_date = predictions.snapshot_date
            and grouped.macro_segment = predictions.macro_segment
            and coalesce(grouped.micro_segment_id, '') = coalesce(predictions.micro_segment_id, '')

)

select * from final
