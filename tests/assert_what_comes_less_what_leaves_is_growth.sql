-- Movement is a balance, to the customer and to the cent, segment by segment: whoever was in a segment at the snapshot
-- before leaves it or stays in the first step; whoever the first step brings somewhere starts there in the second; and
-- whom the second brings to a segment are those in it. Nobody is lost or counted twice, also not by what isn't shown.
with migrations as (

    select * from {{ ref('segment_migrations') }}

),

pairs as (

    select * from {{ ref('int_snapshot_pairs') }}

),

segments as (

    select
        snapshot_date,
        micro_segment_id,
        customers,
        coalesce(predicted_ltv_365d, 0) as predicted_ltv_365d
    from {{ ref('micro_segment_snapshots') }}

),

lines as (

    select
        period,
        snapshot_date,
        case step when 'behaviour' then 'opening' else 'between the steps' end as line,
        from_micro_segment_id as micro_segment_id,
        customers,
        predicted_ltv_365d_before as predicted_ltv_365d
    from migrations
    where from_micro_segment_id is not null
    union all
    select
        period,
        snapshot_date,
        case step when 'behaviour' then 'between the steps' else 'closing' end as line,
        to_micro_segment_id as micro_segment_id,
        -customers as customers,
        -predicted_ltv_365d_after as predicted_ltv_365d
    from migrations
    where to_micro_segment_id is not null
    union all
    select
        pairs.period,
        pairs.snapshot_date,
        'opening' as line,
        segments.micro_segment_id,
        -segments.customers as customers,
        -segments.predicted_ltv_365d as predicted_ltv_365d
    from pairs
    inner join segments on pairs.previous_snapshot_date = segments.snapshot_date
    union all
    select
        pairs.period,
        pairs.snapshot_date,
        'closing' as line,
        segments.micro_segment_id,
        segments.customers,
        segments.predicted_ltv_365d
    from pairs
    inner join segments on pairs.snapshot_date = segments.snapshot_date

)

select
    period,
    snapshot_date,
    line,
    micro_segment_id,
    sum(customers) as customers_too_many,
    sum(predicted_ltv_365d) as predicted_ltv_365d_too_much
from lines
group by period, snapshot_date, line, micro_segment_id
having sum(customers) <> 0 or sum(predicted_ltv_365d) <> 0
