-- A snapshot is the state of the books at the end of its day: nothing in it may be later.
select
    snapshot_date,
    customer_id
from {{ ref('int_customer_snapshots') }}
where
    {{ written_by_this_run('snapshot_date') }}
    and greatest(
        first_received_date,
        coalesce(last_order_date, first_received_date),
        coalesce(last_visit_date, first_received_date)
    ) > snapshot_date
union all
select
    snapshot_date,
    customer_id
from {{ ref('int_acquisition_snapshots') }}
where {{ written_by_this_run('snapshot_date') }} and {{ business_date('first_visit_at') }} > snapshot_date
union all
select
    snapshot_date,
    customer_id
from {{ ref('ltv_customer_snapshots') }}
where {{ written_by_this_run('snapshot_date') }} and cutoff_date > snapshot_date
union all
select
    received_date as snapshot_date,
    customer_id
from {{ ref('revenue_entries') }}
where received_date > {{ as_of() }}
