-- What each snapshot is compared with: the kept snapshot before, and, for month-ends and the latest, the month-end
-- before.
with snapshot_dates as (

    select * from {{ ref('int_snapshot_dates') }}

),

pairs as (

    select
        'snapshot' as period,
        snapshot_date,
        lag(snapshot_date) over (order by snapshot_date nulls last) as previous_snapshot_date
    from snapshot_dates
    union all
    select
        'month' as period,
        snapshot_date,
        lag(snapshot_date) over (order by snapshot_date nulls last) as previous_snapshot_date
    from snapshot_dates
    where is_month_end or is_latest

),

final as (

    select
        period,
        snapshot_date,
        previous_snapshot_date
    from pairs
    where previous_snapshot_date is not null

)

select * from final
