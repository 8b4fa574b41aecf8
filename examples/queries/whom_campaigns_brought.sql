-- Which campaigns brought buyers, what are these worth, and how many new visitors of the last 90 days have bought?
-- Of all visitors the share would be too high: whom nobody could name leaves `customers` 90 days after the last visit
-- (variable visitor_days), while buyers stay.
with first_visits as (
    select customer_id, min(event_date) > (select as_of - 90 from quality.publication) as is_new
    from marts.customer_days where sessions > 0 group by customer_id
)
select acquisition_source, acquisition_campaign_id, count_if(is_buyer) as buyers, sum(net_revenue) as net_revenue,
    round(coalesce(sum(predicted_ltv_365d), 0) / nullif(buyers, 0), 2) as predicted_ltv_365d_per_buyer,
    count_if(is_new) as new_visitors, count_if(is_new and is_buyer) as new_visitors_who_bought,
    round(new_visitors_who_bought / nullif(new_visitors, 0), 3) as buyer_share_of_new_visitors
from marts.customers left join first_visits using (customer_id)
where acquisition_campaign_id is not null
group by all order by net_revenue desc, acquisition_source, acquisition_campaign_id
