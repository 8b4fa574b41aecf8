-- Which share of each month's new buyers orders again, month after month?
with cohorts as (
    select cohort_month, count(*) as buyers from marts.customers where is_buyer group by cohort_month
)
select cohort_month, months_since_first_order, cohorts.buyers, count(distinct orders.customer_id) as buyers_who_ordered,
    round(count(distinct orders.customer_id) / cohorts.buyers, 3) as retention
from marts.orders as orders inner join cohorts using (cohort_month)
where orders.order_status <> 'cancelled'
group by cohort_month, months_since_first_order, cohorts.buyers
order by cohort_month, months_since_first_order
