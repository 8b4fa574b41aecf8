-- The days whose counts decide on the tree of a snapshot: the month-ends up to it, and the snapshot itself.
{{ config(materialized='table') }}

with snapshot_dates as (

    select * from {{ ref('int_snapshot_dates') }}

),

final as (

    select
        snapshots.snapshot_date,
        counted.snapshot_date as counted_date,
        snapshots.snapshot_date = counted.snapshot_date as is_now,
        case when counted.is_month_end then row_number() over counted_before end as month_number,
        sum(case when counted.is_month_end then 1 else 0 end) over (partition by snapshots.snapshot_date) as months
    from snapshot_dates as snapshots
    inner join snapshot_dates as counted
        on
            snapshots.snapshot_date = counted.snapshot_date
            or (counted.is_month_end and snapshots.snapshot_date > counted.snapshot_date)
    window
        counted_before as (
            partition by snapshots.snapshot_date, counted.is_month_end order by counted.snapshot_date nulls last
        )

)

select * from final
