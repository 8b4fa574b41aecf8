-- Which orders came from visits that a campaign brought, and how many of them were first orders?
select
    campaign_id,
    min(order_date) as first_order_date,
    count(*) as orders,
    count_if(order_number = 1) as first_orders,
    count(distinct customer_id) as buyers,
    sum(net_revenue) as net_revenue,
    round(avg(net_revenue), 2) as net_revenue_per_order
from marts.orders
where campaign_id is not null and order_status <> 'cancelled'
group by campaign_id order by net_revenue desc, campaign_id
