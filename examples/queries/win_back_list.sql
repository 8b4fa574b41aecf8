-- Whom to win back by e-mail: valuable buyers who are overdue, but not yet given up?
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
