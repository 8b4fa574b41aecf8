-- How alike the segments of a month-end and of the one before are: the adjusted Rand index (Hubert and Arabie 1985)
-- over the customers of both, 1 for the same groups and 0 for what chance would give.
with month_ends as (

    select
        snapshot_date,
        lag(snapshot_date) over (order by snapshot_date nulls last) as previous_date
    from {{ ref('int_snapshot_dates') }}
    where is_month_end

),

segments as (

    select * from {{ ref('micro_customer_snapshots') }}

),

pairs as (

    select
        month_ends.snapshot_date,
        month_ends.previous_date,
        earlier.micro_segment_id as earlier_id,
        now.micro_segment_id as id,
        count(*) as customers
    from month_ends
    inner join segments as now on month_ends.snapshot_date = now.snapshot_date
    inner join segments as earlier
        on month_ends.previous_date = earlier.snapshot_date and now.customer_id = earlier.customer_id
    where month_ends.snapshot_date in ({{ snapshots_to_build() }})
    group by month_ends.snapshot_date, month_ends.previous_date, earlier.micro_segment_id, now.micro_segment_id

),

summed as (

    select
        snapshot_date,
        previous_date,
        case
            when id is null and earlier_id is null then 'all'
            when id is null then 'earlier'
            when earlier_id is null then 'now'
            else 'both'
        end as part,
        sum(customers) as customers
    from pairs
    group by grouping sets (
        (snapshot_date, previous_date, earlier_id, id),
        (snapshot_date, previous_date, earlier_id),
        (snapshot_date, previous_date, id),
        (snapshot_date, previous_date)
    )

),

-- Pairs of customers who are together: in both, in each of the two, and all pairs.
together as (

    select
        snapshot_date,
        previous_date,
        {% for part in ['both', 'earlier', 'now', 'all'] -%}
        cast(sum(case
            when part = '{{ part }}' then cast(customers as decimal(18, 0)) * (customers - 1) / 2
            else 0
        end) as double) as {{ part }}_pairs,
        {% endfor -%}
        max(customers) as customers
    from summed
    group by snapshot_date, previous_date

),

final as (

    select
        snapshot_date,
        previous_date as previous_snapshot_date,
        cast(customers as bigint) as customers,
        round(
            (both_pairs - earlier_pairs * now_pairs / nullif(all_pairs, 0))
            / nullif((earlier_pairs + now_pairs) / 2 - earlier_pairs * now_pairs / nullif(all_pairs, 0), 0),
            6
        ) as adjusted_rand_index
    from together

)

select * from final
