-- Which campaigns brought visitors who bought, and what are these buyers worth?
select
    acquisition_source,
    acquisition_campaign_id,
    count(*) as customers,
    count_if(is_buyer) as buyers,
    round(count_if(is_buyer) / count(*), 3) as buyer_share,
    sum(net_revenue) as net_revenue,
    round(avg(net_revenue) filter (where is_buyer), 2) as net_revenue_per_buyer,
    round(avg(predicted_ltv_365d), 2) as predicted_ltv_365d_per_buyer
from marts.customers
where acquisition_campaign_id is not null
group by all order by net_revenue desc, acquisition_campaign_id
