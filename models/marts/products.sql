with products as (

    select * from {{ ref('int_products') }}

),

lines as (

    select * from {{ ref('int_order_line_entries') }}
    where product_id is not null and received_date <= {{ as_of() }}

),

ratings as (

    select
        product_id,
        round(cast(sum(cast(round(rating, 2) as decimal(18, 2))) as double) / count(*), 2) as average_rating
    from {{ ref('int_product_reviews') }}
    where received_date <= {{ as_of() }}
    group by product_id

),

order_sums as (

    select
        order_id,
        product_id,
        min(event_date) as order_date,
        sum(quantity) as quantity,
        sum(revenue) as revenue,
        sum(refunded_revenue) as refunded_revenue
    from lines
    group by order_id, product_id

),

sales as (

    select
        product_id,
        min(order_date) as first_sold_date,
        count(case
            when quantity > 0 and {{ dbt.datediff('order_date', as_of(), 'day') }} < 365 then 1
        end) as orders_365d,
        sum(revenue) as revenue,
        sum(refunded_revenue) as refunded_revenue
    from order_sums
    group by product_id

),

rankings as (

    select * from {{ ref('int_product_snapshots') }}
    where snapshot_date = {{ as_of() }}

),

final as (

    select
        products.product_id,
        products.product_name,
        products.category,
        products.brand,
        products.unit_cost,
        sales.first_sold_date,
        coalesce(sales.orders_365d, 0) as orders_365d,
        cast(coalesce(rankings.net_revenue_365d, 0) as decimal(18, 2)) as net_revenue_365d,
        rankings.sales_rank,
        -- What was not sold in the last 365 days lies deepest in the tail.
        case when sales.product_id is not null then coalesce(rankings.is_long_tail, true) end as is_long_tail,
        round(cast(sales.refunded_revenue as double) / nullif(cast(sales.revenue as double), 0), 4) as refund_rate,
        ratings.average_rating
    from products
    left join sales on products.product_id = sales.product_id
    left join rankings on products.product_id = rankings.product_id
    left join ratings on products.product_id = ratings.product_id

)

select * from final
