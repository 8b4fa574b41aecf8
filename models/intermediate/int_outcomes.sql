{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ drop_stale_outcomes() }}"
    )
}}
-- What customers did after a month-end, as posted by the end of the period: what forecasts are held against.
with {{ outcome_periods() }},

snapshot_dates as (

    select snapshot_date from periods
    union
    select identity_date as snapshot_date from periods

),

actors as (

    select * from {{ ref('int_actors') }}

),

{{ customers_of('actors', ['actor_id', 'is_user']) }},

-- Who a later customer was at the snapshot: an id can be named, or renamed, in between. Where several were told apart
-- then, the one that kept its id, else the least.
predecessors as (

    select
        periods.snapshot_date,
        periods.identity_date,
        later.customer_id as later_id,
        coalesce(
            max(case when earlier.customer_id = later.customer_id then earlier.customer_id end),
            min(earlier.customer_id)
        ) as customer_id
    from periods
    inner join actors_of_customers as earlier
        on periods.snapshot_date = earlier.snapshot_date
    inner join actors_of_customers as later
        on
            periods.identity_date = later.snapshot_date
            and earlier.actor_id = later.actor_id
            and earlier.is_user = later.is_user
    group by periods.snapshot_date, periods.identity_date, later.customer_id

),

days as (

    select
        periods.snapshot_date,
        periods.horizon_days,
        periods.outcome_date,
        predecessors.customer_id,
        entries.event_date,
        sum(entries.orders) as orders,
        sum(entries.revenue) as revenue,
        sum(entries.net_revenue) as net_revenue
    from periods
    inner join {{ ref('int_order_entries') }} as entries
        on
            entries.event_date > periods.snapshot_date
            and entries.event_date <= periods.outcome_date
            and entries.received_date <= periods.outcome_date
    inner join actors_of_customers as actors
        on
            periods.identity_date = actors.snapshot_date
            and entries.actor_id = actors.actor_id
            and entries.is_user = actors.is_user
    inner join predecessors
        on
            periods.snapshot_date = predecessors.snapshot_date
            and periods.identity_date = predecessors.identity_date
            and actors.customer_id = predecessors.later_id
    group by
        periods.snapshot_date, periods.horizon_days, periods.outcome_date, predecessors.customer_id, entries.event_date

),

final as (

    select
        snapshot_date,
        horizon_days,
        outcome_date,
        customer_id,
        cast(count_if({{ is_purchase_day() }}) as bigint) as purchase_days,
        cast(sum(net_revenue) as decimal(18, 2)) as net_revenue
    from days
    group by snapshot_date, horizon_days, outcome_date, customer_id

)

select * from final
