with entries as (

    select * from {{ ref('int_order_entries') }}
    where received_date <= {{ as_of() }}

),

orders as (

    select
        order_id,
        customer_id
    from {{ ref('int_orders') }}

),

final as (

    select
        entries.entry_id,
        entries.order_id,
        orders.customer_id,
        entries.entry_type,
        entries.event_date,
        entries.received_date,
        entries.refund_date,
        entries.orders,
        entries.revenue,
        entries.refunded_revenue,
        entries.net_revenue,
        entries.order_currency,
        entries.net_revenue_order_currency
    from entries
    inner join orders on entries.order_id = orders.order_id

)

select * from final
