-- Not a table of its own: the mart is. It lies here because resolving who somebody is reads staging.
{{ config(materialized='ephemeral') }}

{% set measures = [
    'page_views', 'product_views', 'searches', 'cart_adds', 'checkouts',
    'emails_delivered', 'emails_opened', 'emails_clicked',
] -%}
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_latest

),

actor_days as (

    select * from {{ ref('int_actor_days') }}

),

session_entries as (

    select * from {{ ref('int_session_entries') }}

),

orders as (

    select * from {{ ref('int_orders') }}
    where customer_id is not null

),

{{ customers_of('actor_days', ['event_date'] + measures) }},

{{ customers_of('session_entries', ['event_date', 'sessions']) }},

activity as (

    select
        customer_id,
        event_date,
        {% for measure in measures -%}
        {{ measure }},
        {% endfor -%}
        0 as sessions,
        0 as orders,
        0 as net_revenue
    from actor_days_of_customers
    union all
    select
        customer_id,
        event_date,
        {% for measure in measures -%}
        0 as {{ measure }},
        {% endfor -%}
        sessions,
        0 as orders,
        0 as net_revenue
    from session_entries_of_customers
    union all
    select
        customer_id,
        order_date as event_date,
        {% for measure in measures -%}
        0 as {{ measure }},
        {% endfor -%}
        0 as sessions,
        orders,
        net_revenue
    from orders

),

final as (

    select
        customer_id,
        event_date,
        cast(sum(sessions) as bigint) as sessions,
        {% for measure in measures -%}
        cast(sum({{ measure }}) as bigint) as {{ measure }},
        {% endfor -%}
        cast(sum(orders) as bigint) as orders,
        cast(sum(net_revenue) as decimal(18, 2)) as net_revenue
    from activity
    group by customer_id, event_date

)

select * from final
