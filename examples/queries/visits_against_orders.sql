-- Where do visits become orders: of each macro-segment, in the last 90 days?
-- `orders` are all; `orders_per_session` counts those of days with a visit, as the others came another way.
select
    macro_segment,
    count(distinct customer_id) filter (where days.sessions > 0) as visitors,
    sum(days.sessions) as sessions,
    sum(days.cart_adds) as cart_adds,
    sum(days.checkouts) as checkouts,
    sum(days.orders) as orders,
    sum(if(days.sessions > 0, days.orders, 0)) as orders_on_days_with_a_visit,
    round(orders_on_days_with_a_visit / nullif(sum(days.sessions), 0), 4) as orders_per_session
from marts.customer_days as days inner join marts.customers using (customer_id)
where days.event_date > (select as_of - 90 from quality.publication)
group by macro_segment order by sessions desc, macro_segment
