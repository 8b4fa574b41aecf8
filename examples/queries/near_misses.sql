-- Who would be in an audience but for one step, and which: the most valuable first.
select
    misses.rule as missed_step,
    customers.customer_id,
    customers.micro_segment,
    customers.predicted_ltv_365d
from marts.audience_near_misses as misses
inner join marts.customers as customers on misses.customer_id = customers.customer_id
where misses.audience_id = 'win_back_by_email' and customers.is_email_contactable
order by customers.predicted_ltv_365d desc nulls last, customers.customer_id
limit 20
