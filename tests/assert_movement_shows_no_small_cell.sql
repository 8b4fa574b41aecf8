-- A row of fewer customers than smallest_cell would tell who it was. Only where a segment itself may be that small by
-- its rule is all of it one such row.
with segments as (

    select
        snapshot_date,
        micro_segment_id,
        customers
    from {{ ref('micro_segment_snapshots') }}

)

select
    migrations.period,
    migrations.snapshot_date,
    migrations.step,
    migrations.from_micro_segment,
    migrations.to_micro_segment,
    migrations.cause,
    migrations.customers
from {{ ref('segment_migrations') }} as migrations
left join segments as before
    on
        migrations.previous_snapshot_date = before.snapshot_date
        and migrations.from_micro_segment_id = before.micro_segment_id
left join segments as now
    on
        migrations.snapshot_date = now.snapshot_date
        and migrations.to_micro_segment_id = now.micro_segment_id
where
    migrations.customers < {{ var('smallest_cell') }}
    and not (
        migrations.cause = 'suppressed'
        and coalesce(
            case migrations.step when 'behaviour' then before.customers else now.customers end,
            {{ var('smallest_cell') }}
        ) = migrations.customers
    )
