-- The rules of the lifecycle stages leave nobody out.
select
    snapshot_date,
    customer_id
from {{ ref('int_lifecycle_snapshots') }}
where lifecycle_stage is null and {{ written_by_this_run('snapshot_date') }}
