-- What is a buyer worth, by the source that brought the first visit and by the quarter of the first order?
select
    acquisition_source,
    cast(date_trunc('quarter', cohort_month) as date) as cohort_quarter,
    count(*) as buyers,
    round(avg(net_revenue), 2) as net_revenue_per_buyer,
    round(avg(predicted_ltv_365d), 2) as predicted_ltv_365d_per_buyer,
    round(avg(historic_ltv + predicted_ltv_365d), 2) as ltv_per_buyer
from marts.customers
where is_buyer
group by acquisition_source, cohort_quarter
order by cohort_quarter desc, ltv_per_buyer desc, acquisition_source
