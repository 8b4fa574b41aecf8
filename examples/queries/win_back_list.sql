-- Whom to win back by e-mail: buyers of high or medium LTV whose last order is 181 to 365 days ago (`at risk`)?
-- The 100 most valuable. By expected_next_order_date, which lies ahead, half of such buyers will have ordered again if
-- they are still active; churn_risk says how likely they are not.
select
    customer_id,
    micro_segment,
    orders,
    net_revenue,
    last_order_date,
    expected_next_order_date,
    round(churn_risk, 2) as churn_risk,
    predicted_ltv_365d
from marts.customers
where lifecycle_stage = 'at risk' and ltv_tier in ('high', 'medium') and is_email_contactable
order by predicted_ltv_365d desc, customer_id limit 100
