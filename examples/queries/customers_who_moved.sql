-- Which buyers came from another micro-segment within the last 30 days, from which one, and what are they worth?
select
    now.snapshot_date,
    now.customer_id,
    before.micro_segment as from_micro_segment,
    now.micro_segment as to_micro_segment,
    now.predicted_ltv_365d
from marts.customer_snapshots as now
inner join marts.micro_segments as before on now.previous_micro_segment_id = before.micro_segment_id
where now.is_buyer and now.has_entered_micro_segment and now.micro_segment_id <> before.micro_segment_id
    and now.snapshot_date > (select as_of - 30 from quality.publication)
order by now.snapshot_date desc, now.predicted_ltv_365d desc nulls last, now.customer_id limit 100
