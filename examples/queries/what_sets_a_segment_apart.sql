-- What sets the most valuable segment apart from the rest of its macro-segment?
select
    micro_segment,
    dimension,
    dimension_value,
    customers,
    round(share, 3) as share,
    round(macro_share, 3) as macro_share,
    round(lift, 2) as lift
from marts.segment_profiles
where is_distinctive and not is_too_small
    and micro_segment_id = (select arg_max(micro_segment_id, predicted_ltv_365d) from marts.micro_segments where is_current)
order by profile_rank limit 20
