with entries as (

    select * from {{ ref('int_order_line_entries') }}
    where received_date <= {{ as_of() }}

),

orders as (

    select
        order_id,
        customer_id,
        order_date
    from {{ ref('int_orders') }}

),

-- A line whose product was replaced by an update has nothing left.
lines as (

    select
        order_id,
        line_number,
        product_id,
        unit_price,
        cast(sum(quantity) as decimal(18, 3)) as quantity,
        cast(sum(revenue) as decimal(18, 2)) as revenue,
        cast(sum(refunded_revenue) as decimal(18, 2)) as refunded_revenue,
        cast(sum(net_revenue) as decimal(18, 2)) as net_revenue
    from entries
    group by order_id, line_number, product_id, product_name, category, brand, unit_price
    having sum(quantity) <> 0 or sum(revenue) <> 0 or sum(refunded_revenue) <> 0

),

final as (

    select
        lines.order_id,
        lines.line_number,
        orders.customer_id,
        lines.product_id,
        orders.order_date,
        lines.quantity,
        lines.unit_price,
        lines.revenue,
        lines.refunded_revenue,
        lines.net_revenue
    from lines
    inner join orders on lines.order_id = orders.order_id

)

select * from final
