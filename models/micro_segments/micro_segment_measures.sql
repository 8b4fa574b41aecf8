-- What each segment adds up to on each snapshot date.
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

lifetime_values as (

    select * from {{ ref('ltv_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

-- Twice: by micro-segment, and by macro-segment (micro_segment_id null). Intervals don't add up, so neither can be
-- summed from the other.
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
        sum(customers.net_revenue_365d) as net_revenue_365d,
        sum(lifetime_values.predicted_ltv_365d) as predicted_ltv_365d,
        {{ segment_interval_low('lifetime_values') }} as predicted_ltv_365d_low,
        {{ segment_interval_high('lifetime_values') }} as predicted_ltv_365d_high
    from segments
    inner join customers
        on segments.snapshot_date = customers.snapshot_date and segments.customer_id = customers.customer_id
    left join contacts
        on segments.snapshot_date = contacts.snapshot_date and segments.customer_id = contacts.customer_id
    left join lifetime_values
        on
            segments.snapshot_date = lifetime_values.snapshot_date
            and segments.customer_id = lifetime_values.customer_id
    group by grouping sets (
        (segments.snapshot_date, segments.macro_segment, segments.micro_segment_id, segments.micro_segment),
        (segments.snapshot_date, segments.macro_segment)
    )

),

final as (

    select
        snapshot_date,
        macro_segment,
        micro_segment_id,
        micro_segment,
        cast(customers as bigint) as customers,
        cast(buyers as bigint) as buyers,
        cast(active_buyers as bigint) as active_buyers,
        cast(email_contactable_customers as bigint) as email_contactable_customers,
        cast(orders_mtd as bigint) as orders_mtd,
        cast(net_revenue_mtd as decimal(18, 2)) as net_revenue_mtd,
        cast(net_revenue_365d as decimal(18, 2)) as net_revenue_365d,
        cast(predicted_ltv_365d as decimal(18, 2)) as predicted_ltv_365d,
        cast(predicted_ltv_365d_low as decimal(18, 2)) as predicted_ltv_365d_low,
        cast(predicted_ltv_365d_high as decimal(18, 2)) as predicted_ltv_365d_high
    from grouped

)

select * from final
