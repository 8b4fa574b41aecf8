-- A segment that is shown is large enough to mean something and to hide the single person in it, at every snapshot.
-- Its size is at least the minimum of the layer that drew it, so at least the smallest minimum of its tree.
with tree_minimums as (

    select
        base,
        min(min_customers) as min_customers
    from {{ ref('micro_base_layers') }}
    group by base

),

base_minimums as (

    select min_customers
    from {{ ref('micro_segment_layers') }}
    where macro_segment = '*' and layer = 0

)

select
    segments.snapshot_date,
    segments.micro_segment_id,
    segments.customers
from {{ ref('micro_segment_snapshots') }} as segments
cross join base_minimums
left join tree_minimums on segments.macro_segment = tree_minimums.base
where
    segments.customers
    < least(base_minimums.min_customers, coalesce(tree_minimums.min_customers, base_minimums.min_customers))
