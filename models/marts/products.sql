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
        sum(refunded_revenue) as refunded_revenue,
        sum(net_revenue) as net_revenue
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
        cast(coalesce(sum(case
            when {{ dbt.datediff('order_date', as_of(), 'day') }} < 365 then net_revenue
        end), 0) as decimal(18, 2)) as net_revenue_365d,
        sum(revenue) as revenue,
        sum(refunded_revenue) as refunded_revenue
    from order_sums
    group by product_id

),

ranked as (

    select
        *,
        row_number() over (order by net_revenue_365d desc nulls last, product_id nulls last) as sales_rank,
        sum(net_revenue_365d) over (
            order by net_revenue_365d desc nulls last, product_id nulls last
            rows between unbounded preceding and current row
        ) - net_revenue_365d as net_revenue_above,
        sum(net_revenue_365d) over () as net_revenue_total
    from sales

),

final as (

    select
        products.product_id,
        products.product_name,
        products.category,
        products.brand,
        products.unit_cost,
        ranked.first_sold_date,
        coalesce(ranked.orders_365d, 0) as orders_365d,
        coalesce(ranked.net_revenue_365d, 0) as net_revenue_365d,
        cast(ranked.sales_rank as bigint) as sales_rank,
        -- The tail begins where the products above it have made four fifths of the revenue.
        case
            when ranked.net_revenue_total > 0
                then ranked.net_revenue_above >= {{ var('long_tail_share') }} * ranked.net_revenue_total
        end as is_long_tail,
        round(cast(ranked.refunded_revenue as double) / nullif(cast(ranked.revenue as double), 0), 4) as refund_rate,
        ratings.average_rating
    from products
    left join ranked on products.product_id = ranked.product_id
    left join ratings on products.product_id = ratings.product_id

)

select * from final
