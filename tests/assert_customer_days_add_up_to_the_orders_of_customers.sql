-- Two ways to the same figure, day by day: the customers' days, and the journal of orders without the sales whose
-- customer is unknown.
with days as (

    select
        event_date,
        sum(orders) as orders,
        sum(net_revenue) as net_revenue
    from {{ ref('customer_days') }}
    group by event_date

),

entries as (

    select
        event_date,
        sum(orders) as orders,
        sum(net_revenue) as net_revenue
    from {{ ref('revenue_entries') }}
    where customer_id is not null
    group by event_date

)

select
    coalesce(days.event_date, entries.event_date) as event_date,
    days.net_revenue,
    entries.net_revenue as net_revenue_of_entries
from days
full outer join entries on days.event_date = entries.event_date
where
    coalesce(days.orders, 0) <> coalesce(entries.orders, 0)
    or coalesce(days.net_revenue, 0) <> coalesce(entries.net_revenue, 0)
