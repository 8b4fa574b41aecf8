-- What is given back was sold: per order, and in its journal at the end of every day.
with balances as (

    select
        order_id,
        received_date,
        sum(sum(revenue)) over (partition by order_id order by received_date nulls last) as revenue,
        sum(sum(refunded_revenue)) over (partition by order_id order by received_date nulls last) as refunded_revenue
    from {{ ref('revenue_entries') }}
    group by order_id, received_date

)

select
    order_id,
    received_date,
    revenue,
    refunded_revenue
from balances
where refunded_revenue > revenue or refunded_revenue < 0
