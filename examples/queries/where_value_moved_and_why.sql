-- Where did value move in the last full month, and why? Whoever stayed moved value by becoming worth more or less.
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
order by abs(value_moved) desc limit 20
