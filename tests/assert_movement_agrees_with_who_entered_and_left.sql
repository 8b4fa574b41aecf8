-- One story of movement in three marts: who enters a segment is counted from the customers' own history as from pairs
-- of snapshots, and what entered less what left is what movement brings less what it takes.
with segments as (

    select * from {{ ref('micro_segment_snapshots') }}

),

customers as (

    select
        snapshot_date,
        micro_segment_id,
        count(*) as customers
    from {{ ref('customer_snapshots') }}
    where has_entered_micro_segment
    group by snapshot_date, micro_segment_id

),

ends as (

    select
        snapshot_date,
        to_micro_segment_id as micro_segment_id,
        customers
    from {{ ref('segment_migrations') }}
    where period = 'snapshot'
    union all
    select
        snapshot_date,
        from_micro_segment_id as micro_segment_id,
        -customers as customers
    from {{ ref('segment_migrations') }}
    where period = 'snapshot'

),

growth as (

    select
        snapshot_date,
        micro_segment_id,
        sum(customers) as customers
    from ends
    group by snapshot_date, micro_segment_id

),

first_dates as (

    select min(snapshot_date) as snapshot_date
    from {{ ref('int_snapshot_dates') }}

)

select
    segments.snapshot_date,
    segments.micro_segment_id,
    segments.customers_entered,
    segments.customers_left,
    customers.customers as customers_who_entered,
    growth.customers as growth
from segments
left join customers
    on segments.snapshot_date = customers.snapshot_date and segments.micro_segment_id = customers.micro_segment_id
left join growth
    on segments.snapshot_date = growth.snapshot_date and segments.micro_segment_id = growth.micro_segment_id
anti join first_dates on segments.snapshot_date = first_dates.snapshot_date
where
    segments.customers_entered <> coalesce(customers.customers, 0)
    or segments.customers_entered - segments.customers_left <> coalesce(growth.customers, 0)
