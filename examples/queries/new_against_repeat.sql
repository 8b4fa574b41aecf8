-- How much comes from new buyers and how much from repeat ones, by fiscal period and sales channel?
select
    fiscal_period,
    sales_channel,
    count_if(order_number = 1) as first_orders,
    count_if(order_number > 1) as repeat_orders,
    sum(if(order_number = 1, net_revenue, 0)) as net_revenue_new,
    sum(if(order_number > 1, net_revenue, 0)) as net_revenue_repeat,
    round(net_revenue_repeat / nullif(sum(net_revenue), 0), 3) as repeat_share
from marts.orders inner join marts.calendar on order_date = calendar_date
where order_number is not null
group by fiscal_period, sales_channel order by fiscal_period, sales_channel
