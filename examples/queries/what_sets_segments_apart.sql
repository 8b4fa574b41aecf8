-- What sets each segment apart from the rest of its macro-segment: its three most telling traits?
select
    macro_segment,
    micro_segment,
    dimension,
    dimension_value,
    customers,
    round(share, 3) as share,
    round(macro_share, 3) as macro_share,
    round(lift, 2) as lift
from marts.segment_profiles
where is_distinctive and profile_rank <= 3
order by macro_segment, micro_segment, profile_rank
