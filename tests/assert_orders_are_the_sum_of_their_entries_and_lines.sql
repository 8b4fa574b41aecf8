-- One order, three grains, one amount: an order is the sum of its journal entries and, where it lists products, of its
-- lines. An order without a row is one that a join has lost.
with entries as (

    select
        order_id,
        sum(revenue) as revenue,
        sum(refunded_revenue) as refunded_revenue,
        sum(net_revenue) as net_revenue,
        sum(net_revenue_order_currency) as net_revenue_order_currency,
        sum(orders) as orders
    from {{ ref('revenue_entries') }}
    group by order_id

),

lines as (

    select
        order_id,
        sum(revenue) as revenue,
        sum(refunded_revenue) as refunded_revenue,
        sum(net_revenue) as net_revenue
    from {{ ref('order_items') }}
    group by order_id

)

select
    orders.order_id,
    entries.order_id as entry_order_id,
    orders.net_revenue,
    entries.net_revenue as net_revenue_of_entries,
    lines.net_revenue as net_revenue_of_lines
from {{ ref('orders') }} as orders
full outer join entries on orders.order_id = entries.order_id
left join lines on orders.order_id = lines.order_id
where
    orders.order_id is null
    or entries.order_id is null
    or orders.revenue <> entries.revenue
    or orders.refunded_revenue <> entries.refunded_revenue
    or orders.net_revenue <> entries.net_revenue
    or orders.net_revenue <> orders.revenue - orders.refunded_revenue
    or orders.net_revenue_order_currency <> entries.net_revenue_order_currency
    or case when orders.order_status = 'cancelled' then 0 else 1 end <> entries.orders
    or orders.revenue <> lines.revenue
    or orders.refunded_revenue <> lines.refunded_revenue
    or orders.net_revenue <> lines.net_revenue
