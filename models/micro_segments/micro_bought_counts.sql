-- How many customers of each segment bought a category, a brand or a product within the last 365 days, of those who
-- bought anything.
{{ config(materialized='table') }}

{% set dimensions = ['category', 'brand', 'product'] -%}
with lines as (

    select * from {{ ref('int_order_line_entries') }}
    where
        received_date <= {{ as_of() }}
        and event_date > cast({{ dbt.dateadd('day', -365, as_of()) }} as date)

),

orders as (

    select * from {{ ref('int_orders') }}

),

products as (

    select * from {{ ref('int_products') }}

),

segments as (

    select * from {{ ref('micro_customer_snapshots') }}
    where snapshot_date = {{ as_of() }}

),

sold as (

    select
        order_id,
        product_id
    from lines
    group by order_id, product_id
    having sum(net_revenue) > 0

),

bought as (

    select distinct
        segments.micro_segment_id,
        segments.customer_id,
        products.category,
        products.brand,
        coalesce(products.product_name, products.product_id) as product
    from sold
    inner join orders on sold.order_id = orders.order_id
    inner join segments on orders.customer_id = segments.customer_id
    inner join products on sold.product_id = products.product_id

),

buyers as (

    select
        micro_segment_id,
        count(distinct customer_id) as customers
    from bought
    group by micro_segment_id

),

final as (

    {% for dimension in dimensions -%}
    select
        bought.micro_segment_id,
        '{{ dimension }}' as dimension,
        bought.{{ dimension }} as dimension_value,
        count(distinct bought.customer_id) as customers,
        max(buyers.customers) as customers_known,
        cast(0 as bigint) as customers_inferred
    from bought
    inner join buyers on bought.micro_segment_id = buyers.micro_segment_id
    where bought.{{ dimension }} is not null
    group by bought.micro_segment_id, bought.{{ dimension }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select * from final
