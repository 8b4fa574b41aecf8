-- How alike the segments of a month-end and of the one before are: the adjusted Rand index (Hubert and Arabie 1985)
-- over the customers of both, 1 for the same groups and 0 for what chance would give.
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

pairs as (

    select
        month_ends.snapshot_date,
        month_ends.previous_snapshot_date,
        moves.from_id as earlier_id,
        moves.to_id as id,
        sum(moves.customers) as customers
    from month_ends
    inner join moves
        on
            month_ends.previous_snapshot_date = moves.previous_snapshot_date
            and month_ends.snapshot_date = moves.snapshot_date
    where moves.from_id is not null and moves.to_id is not null
    group by month_ends.snapshot_date, month_ends.previous_snapshot_date, moves.from_id, moves.to_id

),

summed as (

    select
        snapshot_date,
        previous_snapshot_date,
        case
            when id is null and earlier_id is null then 'all'
            when id is null then 'earlier'
            when earlier_id is null then 'now'
            else 'both'
        end as part,
        sum(customers) as customers
    from pairs
    group by grouping sets (
        (snapshot_date, previous_snapshot_date, earlier_id, id),
        (snapshot_date, previous_snapshot_date, earlier_id),
        (snapshot_date, previous_snapshot_date, id),
        (snapshot_date, previous_snapshot_date)
    )

),

-- Pairs of customers who are together: in both, in each of the two, and all pairs.
together as (

    select
        snapshot_date,
        previous_snapshot_date,
        {% for part in ['both', 'earlier', 'now', 'all'] -%}
        cast(sum(case
            when part = '{{ part }}' then cast(customers as decimal(18, 0)) * (customers - 1) / 2
            else 0
        end) as double) as {{ part }}_pairs,
        {% endfor -%}
        max(customers) as customers
    from summed
    group by snapshot_date, previous_snapshot_date

),

final as (

    select
        snapshot_date,
        previous_snapshot_date,
        cast(customers as bigint) as customers,
        round(
            (both_pairs - earlier_pairs * now_pairs / nullif(all_pairs, 0))
            / nullif((earlier_pairs + now_pairs) / 2 - earlier_pairs * now_pairs / nullif(all_pairs, 0), 0),
            6
        ) as adjusted_rand_index
    from together

)

select * from final
