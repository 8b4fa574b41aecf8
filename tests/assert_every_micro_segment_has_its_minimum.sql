-- A segment that is shown is large enough to mean something and to hide the single person in it, at every snapshot:
-- it has the minimum of the layer that drew it, or that of macro-segments where none did.
with drawn as (

    select
        snapshot_date,
        node_id,
        max(min_customers) as min_customers
    from {{ ref('micro_splits') }}
    where is_split
    group by snapshot_date, node_id

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
left join drawn
    on segments.snapshot_date = drawn.snapshot_date and segments.micro_segment_id = drawn.node_id
where segments.customers < coalesce(drawn.min_customers, base_minimums.min_customers)
