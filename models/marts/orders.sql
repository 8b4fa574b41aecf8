with int_orders as (

    select * from {{ ref('int_orders') }}

),

month_ends as (

    select
        snapshot_date,
        lead(snapshot_date) over (order by snapshot_date nulls last) as next_snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_month_end

),

segments as (

    select * from {{ ref('micro_customer_snapshots') }}

),

numbered as (

    select
        *,
        min(case when orders > 0 then order_date end) over (partition by customer_id) as first_order_date,
        row_number() over (
            partition by customer_id, orders > 0 order by order_date nulls last, order_id nulls last
        ) as order_number
    from int_orders

),

final as (

    select
        numbered.order_id,
        numbered.customer_id,
        numbered.order_date,
        case
            when numbered.customer_id is not null and numbered.orders > 0 then cast(numbered.order_number as integer)
        end as order_number,
        case
            when numbered.customer_id is not null
                then cast({{ dbt.date_trunc('month', 'numbered.first_order_date') }} as date)
        end as cohort_month,
        case
            when numbered.customer_id is not null and numbered.orders > 0
                then cast({{ dbt.datediff('numbered.first_order_date', 'numbered.order_date', 'month') }} as integer)
        end as months_since_first_order,
        numbered.order_status,
        numbered.sales_channel,
        numbered.store_id,
        numbered.campaign_id,
        numbered.coupon,
        segments.micro_segment_id as micro_segment_id_at_order,
        numbered.items,
        numbered.discount,
        numbered.tax,
        numbered.shipping,
        numbered.revenue,
        numbered.refunded_revenue,
        numbered.net_revenue,
        numbered.order_currency,
        numbered.net_revenue_order_currency
    from numbered
    left join month_ends
        on
            numbered.order_date > month_ends.snapshot_date
            and numbered.order_date <= coalesce(month_ends.next_snapshot_date, {{ as_of() }})
    left join segments
        on month_ends.snapshot_date = segments.snapshot_date and numbered.customer_id = segments.customer_id

)

select * from final
