-- Where do visits become orders: of each macro-segment, in the last 90 days?
select
    macro_segment,
    count(distinct customer_id) as visitors,
    sum(days.sessions) as sessions,
    sum(days.cart_adds) as cart_adds,
    sum(days.checkouts) as checkouts,
    sum(days.orders) as orders,
    round(sum(days.orders) / nullif(sum(days.sessions), 0), 4) as orders_per_session
from marts.customer_days as days inner join marts.customers using (customer_id)
where days.sessions > 0 and days.event_date > (select as_of - 90 from quality.publication)
group by macro_segment order by sessions desc, macro_segment
