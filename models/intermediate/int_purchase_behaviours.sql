-- What customers bought, in the shape of int_behaviours: orders, and the lines of orders.
{{ config(materialized='view') }}

with refunds as (

    select
        order_id,
        received_date,
        sum(refunded_revenue) as refunded_revenue
    from {{ ref('int_refund_states') }}
    group by order_id, received_date

),

sale_states as (

    select
        sale_states.*,
        case when sale_states.is_cancelled then 0 else 1 end as orders,
        cast(sale_states.revenue_order_currency * sale_states.order_rate as decimal(18, 2)) as revenue,
        coalesce(refunds.refunded_revenue, 0) as refunded_revenue,
        lead(sale_states.received_date) over (
            partition by sale_states.order_id order by sale_states.received_date nulls last
        ) as next_received_date
    from {{ ref('int_sale_states') }} as sale_states
    left join refunds
        on sale_states.order_id = refunds.order_id and sale_states.received_date = refunds.received_date

),

-- A state is posted on its day, and taken back on the day on which the next one replaces it.
order_entries as (

    {% for sign, posted_date in [('', 'received_date'), ('-', 'next_received_date')] -%}
    select
        {{ posted_date }} as received_date,
        order_date as event_date,
        is_user,
        actor_id,
        order_id,
        sales_channel,
        store_id,
        coupon,
        utm_campaign,
        {{ sign }}orders as orders,
        {{ sign }}revenue as revenue,
        {{ sign }}(revenue - refunded_revenue) as net_revenue
    from sale_states
    where {{ posted_date }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

-- What a product is called, the reference table tells, as in the mart; of one that it doesn't know, the line does.
line_entries as (

    select
        lines.received_date,
        lines.event_date,
        lines.is_user,
        lines.actor_id,
        lines.order_id,
        lines.product_id,
        coalesce(products.product_name, lines.product_name) as product_name,
        coalesce(products.category, lines.category) as category,
        coalesce(products.brand, lines.brand) as brand,
        lines.quantity,
        lines.revenue,
        lines.net_revenue
    from {{ ref('int_order_line_entries') }} as lines
    left join {{ ref('stg_products') }} as products on lines.product_id = products.product_id

),

final as (

    {% for field, value in [
        ('', "''"), ('sales_channel', 'sales_channel'), ('store', 'store_id'), ('coupon', 'coupon'),
        ('campaign', 'utm_campaign'),
    ] -%}
    select
        received_date,
        event_date,
        is_user,
        actor_id,
        '{{ field }}' as field,
        lower(trim({{ value }})) as value,
        order_id,
        cast(orders as decimal(18, 3)) as times,
        cast(revenue as decimal(18, 2)) as revenue,
        cast(net_revenue as decimal(18, 2)) as net_revenue
    from order_entries
    where {{ value }} is not null
    union all
    {% endfor -%}
    {% for field, value in [
        ('category', 'category'), ('brand', 'brand'), ('product', 'product_id'), ('product_name', 'product_name'),
    ] -%}
    select
        received_date,
        event_date,
        is_user,
        actor_id,
        '{{ field }}' as field,
        lower(trim({{ value }})) as value,
        order_id,
        quantity as times,
        revenue,
        net_revenue
    from line_entries
    where {{ value }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select * from final
