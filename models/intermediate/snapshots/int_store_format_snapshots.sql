-- The kind of store that a customer buys in most, as known on the snapshot date: by orders that were not cancelled, the
-- later one of two. Which format a store has is taken from the reference as it is now.
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

stores as (

    select
        store_id,
        lower({{ blank_to_null('store_format') }}) as store_format
    from {{ ref('stg_stores') }}
    where {{ blank_to_null('store_format') }} is not null

),

sales as (

    select
        states.received_date,
        states.order_id,
        states.is_user,
        states.actor_id,
        states.order_date,
        states.is_cancelled,
        stores.store_format
    from {{ ref('int_sale_states') }} as states
    inner join stores on states.store_id = stores.store_id
    where states.actor_id is not null

),

{{ customers_of('sales', ['received_date', 'order_id', 'order_date', 'is_cancelled', 'store_format']) }},

orders as (

    select
        snapshot_date,
        customer_id,
        order_id,
        max(order_date) as order_date,
        max_by(is_cancelled, received_date) as is_cancelled,
        max_by(store_format, received_date) as store_format
    from sales_of_customers
    group by snapshot_date, customer_id, order_id

),

formats as (

    select
        snapshot_date,
        customer_id,
        store_format,
        count(*) as orders,
        max(order_date) as last_order_date
    from orders
    where not is_cancelled
    group by snapshot_date, customer_id, store_format

),

final as (

    select
        snapshot_date,
        customer_id,
        store_format,
        orders
    from formats
    qualify
        row_number() over (
            partition by snapshot_date, customer_id
            order by orders desc nulls last, last_order_date desc nulls last, store_format nulls last
        ) = 1

)

select * from final
