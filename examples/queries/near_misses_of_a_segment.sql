-- Who would be in a segment but for one attribute of its rule (micro_segments.rule_sql), and which: most valuable first.
select
    case when lifecycle_stage = 'loyal' then 'ltv_tier' else 'lifecycle_stage' end as missed_by,
    customer_id,
    micro_segment,
    ltv_tier,
    days_since_last_order,
    predicted_ltv_365d
from marts.customers
where macro_segment = 'Consumers 45-54' and (lifecycle_stage = 'loyal') <> (ltv_tier = 'high')
order by predicted_ltv_365d desc nulls last, customer_id
limit 20
