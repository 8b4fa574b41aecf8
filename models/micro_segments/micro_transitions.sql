-- How customers moved in the month that ends with each month-end, by that month-end's own rules on both days.
with month_ends as (

    select
        pairs.previous_snapshot_date,
        pairs.snapshot_date
    from {{ ref('int_snapshot_pairs') }} as pairs
    inner join {{ ref('int_snapshot_dates') }} as snapshot_dates on pairs.snapshot_date = snapshot_dates.snapshot_date
    where pairs.period = 'month' and snapshot_dates.is_month_end and snapshot_dates.is_built_now

),

moves as (

    select * from {{ ref('micro_moves') }}

),

final as (

    select
        moves.snapshot_date,
        moves.from_id_by_rules_now as from_id,
        moves.to_id,
        cast(sum(moves.customers) as bigint) as customers
    from moves
    inner join month_ends
        on
            moves.previous_snapshot_date = month_ends.previous_snapshot_date
            and moves.snapshot_date = month_ends.snapshot_date
    where moves.from_id_by_rules_now is not null or moves.to_id is not null
    group by moves.snapshot_date, moves.from_id_by_rules_now, moves.to_id

)

select * from final
