-- What are buyers worth, by the source that brought the first visit and by the quarter of the first order?
-- Earned so far and predicted add up to `ltv`. Buyers without a prediction (all refunded) count as 0.
select
    acquisition_source,
    cast(date_trunc('quarter', cohort_month) as date) as cohort_quarter,
    count(*) as buyers,
    sum(historic_ltv) as historic_ltv,
    sum(coalesce(predicted_ltv_365d, 0)) as predicted_ltv_365d,
    sum(historic_ltv + coalesce(predicted_ltv_365d, 0)) as ltv,
    round(sum(historic_ltv + coalesce(predicted_ltv_365d, 0)) / count(*), 2) as ltv_per_buyer
from marts.customers
where is_buyer
group by acquisition_source, cohort_quarter
order by cohort_quarter desc, ltv_per_buyer desc, acquisition_source
