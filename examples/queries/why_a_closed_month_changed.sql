-- Why did October's figure change after it was closed: what was posted later about its orders, and when?
select
    cast(date_trunc('month', received_date) as date) as posted_in,
    entry_type,
    count(*) as entries,
    sum(orders) as orders,
    sum(revenue) as revenue,
    sum(refunded_revenue) as refunded_revenue,
    sum(net_revenue) as net_revenue
from marts.revenue_entries
where date_trunc('month', event_date) = date '2025-10-01' and received_date > date '2025-10-31'
group by posted_in, entry_type
order by posted_in, entry_type
