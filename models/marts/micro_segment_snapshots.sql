with measures as (

    select * from {{ ref('micro_segment_measures') }}
    where micro_segment_id is not null

),

snapshot_dates as (

    select * from {{ ref('int_snapshot_dates') }}

),

customers as (

    select * from {{ ref('customer_snapshots') }}
    where micro_segment_id is not null

),

ordered_dates as (

    select
        snapshot_date,
        lead(snapshot_date) over (order by snapshot_date nulls last) as next_snapshot_date
    from snapshot_dates

),

-- Since the kept snapshot before: in a segment now and not in it then, or the other way round.
moves as (

    select
        coalesce(now.snapshot_date, ordered_dates.next_snapshot_date) as snapshot_date,
        now.micro_segment_id as entered_id,
        before.micro_segment_id as left_id
    from customers as before
    inner join ordered_dates on before.snapshot_date = ordered_dates.snapshot_date
    full outer join customers as now
        on ordered_dates.next_snapshot_date = now.snapshot_date and before.customer_id = now.customer_id
    where coalesce(before.micro_segment_id, '') <> coalesce(now.micro_segment_id, '')

),

entered as (

    select
        snapshot_date,
        entered_id as micro_segment_id,
        count(*) as customers
    from moves
    where entered_id is not null
    group by snapshot_date, entered_id

),

departed as (

    select
        snapshot_date,
        left_id as micro_segment_id,
        count(*) as customers
    from moves
    where left_id is not null and snapshot_date is not null
    group by snapshot_date, left_id

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
        coalesce(entered.customers, 0) as customers_entered,
        coalesce(departed.customers, 0) as customers_left,
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
