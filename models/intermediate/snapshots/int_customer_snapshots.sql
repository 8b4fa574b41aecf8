-- The people of each snapshot, with what orders and visits tell of them. Known people stay for good; a visitor nobody
-- could name stays while seen lately, or for good after an order.
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

actors as (

    select * from {{ ref('int_actors') }}

),

{{ customers_of('actors', ['received_date']) }},

people as (

    select
        snapshot_date,
        customer_id,
        max(case when is_known then 1 else 0 end) = 1 as is_known,
        min(received_date) as first_received_date
    from actors_of_customers
    group by snapshot_date, customer_id

),

orders as (

    select * from {{ ref('int_order_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

activity as (

    select * from {{ ref('int_activity_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

final as (

    select
        people.snapshot_date,
        people.customer_id,
        people.is_known,
        people.first_received_date,
        coalesce(orders.is_buyer, false) as is_buyer,
        orders.first_order_date,
        orders.last_order_date,
        {% for measure in ['orders', 'orders_90d', 'orders_365d', 'orders_mtd'] -%}
        coalesce(orders.{{ measure }}, 0) as {{ measure }},
        {% endfor -%}
        {% for measure in ['revenue', 'net_revenue', 'net_revenue_90d', 'net_revenue_365d', 'net_revenue_mtd'] -%}
        cast(coalesce(orders.{{ measure }}, 0) as decimal(18, 2)) as {{ measure }},
        {% endfor -%}
        orders.days_since_last_order,
        orders.days_between_last_orders,
        orders.frequency,
        orders.recency_days,
        orders.age_days,
        orders.repeat_spend,
        case
            when orders.frequency > 0 then round(cast(orders.recency_days as double) / orders.frequency, 2)
        end as average_days_between_orders,
        {% for measure in [
            'sessions', 'page_views', 'product_views', 'searches', 'cart_adds', 'checkouts',
            'emails_delivered', 'emails_opened', 'emails_clicked',
        ] -%}
        coalesce(activity.{{ measure }}_90d, 0) as {{ measure }}_90d,
        {% endfor -%}
        activity.last_visit_date
    from people
    left join orders
        on people.snapshot_date = orders.snapshot_date and people.customer_id = orders.customer_id
    left join activity
        on people.snapshot_date = activity.snapshot_date and people.customer_id = activity.customer_id
    where
        people.is_known
        or orders.customer_id is not null
        or activity.last_visit_date > {{ dbt.dateadd('day', '-' ~ var('visitor_days'), 'people.snapshot_date') }}

)

select * from final
