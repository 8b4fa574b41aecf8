-- Which customers moved from one micro-segment to another, and when: each move between kept snapshots, the latest first.
select
    now.snapshot_date,
    now.customer_id,
    before.micro_segment as from_micro_segment,
    now.micro_segment as to_micro_segment,
    now.predicted_ltv_365d
from marts.customer_snapshots as now
inner join marts.micro_segments as before on now.previous_micro_segment_id = before.micro_segment_id
where now.has_entered_micro_segment
    and before.micro_segment = 'Consumers 35-44 / bought / other ltv tier'
    and now.micro_segment = 'Consumers 35-44 / other buying stage / other ltv tier'
order by now.snapshot_date desc, now.predicted_ltv_365d desc nulls last, now.customer_id
