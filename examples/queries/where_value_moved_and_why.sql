-- Where did most value move in the last full month, and why: the 20 largest moves?
-- Customers who moved count with what they were worth, before or after, whichever is more; customers who stayed with
-- what they became worth more or less. Moves that are too small to be shown are left out.
select
    step,
    cause,
    from_micro_segment,
    to_micro_segment,
    customers,
    case when from_micro_segment = to_micro_segment then predicted_ltv_365d_after - predicted_ltv_365d_before
        else greatest(predicted_ltv_365d_before, predicted_ltv_365d_after) end as value_moved
from marts.segment_migrations
where period = 'month' and is_month_end and cause <> 'suppressed'
qualify dense_rank() over (order by snapshot_date desc) = 1
order by abs(value_moved) desc, step, from_micro_segment, to_micro_segment, cause limit 20
