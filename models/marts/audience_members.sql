-- Stays in an audience: runs of snapshots at which somebody is in it.
with members as (

    select * from {{ ref('micro_audience_members') }}

),

snapshot_dates as (

    select
        snapshot_date,
        row_number() over (order by snapshot_date nulls last) as snapshot_number,
        lead(snapshot_date) over (order by snapshot_date nulls last) as next_snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_month_end or is_latest

),

-- Within a stay, the number of the snapshot grows as fast as the row number.
numbered as (

    select
        members.audience_id,
        members.customer_id,
        members.snapshot_date,
        snapshot_dates.next_snapshot_date,
        snapshot_dates.snapshot_number
        - row_number() over (
            partition by members.audience_id, members.customer_id order by members.snapshot_date nulls last
        ) as stay
    from members
    inner join snapshot_dates on members.snapshot_date = snapshot_dates.snapshot_date

),

final as (

    select
        audience_id,
        customer_id,
        min(snapshot_date) as valid_from,
        case when max(snapshot_date) < {{ as_of() }} then max(next_snapshot_date) end as valid_to,
        max(snapshot_date) = {{ as_of() }} as is_current
    from numbered
    group by audience_id, customer_id, stay

)

select * from final
