-- Who would be in the demo's segment Consumers 35-44 / bought / medium LTV but for one of its two layers, and which?
-- All are listed, the most valuable first. For another segment, put the conditions of its micro_segments.rule_sql here.
select
    if(buying_stage = 'bought', 'ltv_tier', 'buying_stage') as missed_by,
    customer_id,
    micro_segment,
    buying_stage,
    ltv_tier,
    days_since_last_order,
    predicted_ltv_365d
from marts.customers
where macro_segment = 'Consumers 35-44' and (buying_stage = 'bought') <> (ltv_tier = 'medium')
order by predicted_ltv_365d desc nulls last, customer_id
