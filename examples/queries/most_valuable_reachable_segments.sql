-- Which segments are worth most and can be reached by e-mail: how many customers, and what is each expected to bring?
select
    macro_segment,
    micro_segment,
    customers,
    email_contactable_customers,
    predicted_ltv_365d,
    predicted_ltv_365d_low,
    predicted_ltv_365d_high,
    round(predicted_ltv_365d / nullif(customers, 0), 2) as predicted_ltv_365d_per_customer
from marts.micro_segments
where is_current and email_contactable_customers > 0
order by predicted_ltv_365d desc nulls last, micro_segment_id limit 20
