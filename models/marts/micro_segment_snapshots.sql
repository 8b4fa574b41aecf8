with measures as (

    select * from {{ ref('micro_segment_measures') }}
    where micro_segment_id is not null

),

snapshot_dates as (

    select * from {{ ref('int_snapshot_dates') }}

),

pairs as (

    select * from {{ ref('int_snapshot_pairs') }}
    where period = 'snapshot'

),

moves as (

    select moves.*
    from {{ ref('micro_moves') }} as moves
    semi join pairs
        on
            moves.previous_snapshot_date = pairs.previous_snapshot_date
            and moves.snapshot_date = pairs.snapshot_date
    where coalesce(moves.from_id, '') <> coalesce(moves.to_id, '')

),

entered as (

    select
        snapshot_date,
        to_id as micro_segment_id,
        sum(customers) as customers
    from moves
    group by snapshot_date, to_id

),

departed as (

    select
        snapshot_date,
        from_id as micro_segment_id,
        sum(customers) as customers
    from moves
    group by snapshot_date, from_id

),

final as (

    select
        measures.snapshot_date,
        measures.micro_segment_id,
        measures.micro_segment,
        measures.macro_segment,
        snapshot_dates.is_latest,
        snapshot_dates.is_month_end,
        measures.customers,
        measures.buyers,
        measures.active_buyers,
        measures.email_contactable_customers,
        -- Before the first snapshot nobody was anywhere.
        cast(coalesce(
            entered.customers, case when pairs.snapshot_date is null then measures.customers else 0 end
        ) as bigint) as customers_entered,
        cast(coalesce(departed.customers, 0) as bigint) as customers_left,
        measures.orders_mtd,
        measures.net_revenue_mtd,
        measures.net_revenue_365d,
        {% for days in ltv_horizons() -%}
        measures.expected_orders_{{ days }}d,
        measures.predicted_ltv_{{ days }}d,
        measures.predicted_ltv_{{ days }}d_low,
        measures.predicted_ltv_{{ days }}d_high,
        {% endfor -%}
        measures.is_ltv_backtested
    from measures
    inner join snapshot_dates on measures.snapshot_date = snapshot_dates.snapshot_date
    left join pairs on measures.snapshot_date = pairs.snapshot_date
    left join entered
        on
            measures.snapshot_date = entered.snapshot_date
            and measures.micro_segment_id = entered.micro_segment_id
    left join departed
        on
            measures.snapshot_date = departed.snapshot_date
            and measures.micro_segment_id = departed.micro_segment_id

)

select * from final
