{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ drop_stale_outcomes() }}"
    )
}}
-- What was foretold for each segment at a month-end, and what its customers then did.
with {{ outcome_periods() }},

buyers as (

    select
        periods.snapshot_date,
        periods.horizon_days,
        periods.outcome_date,
        segments.macro_segment,
        segments.micro_segment_id,
        coalesce(outcomes.purchase_days, 0) as purchase_days,
        coalesce(outcomes.net_revenue, 0) as net_revenue
    from periods
    inner join {{ ref('ltv_customer_snapshots') }} as lifetime_values
        on periods.snapshot_date = lifetime_values.snapshot_date
    left join {{ ref('micro_customer_snapshots') }} as segments
        on
            lifetime_values.snapshot_date = segments.snapshot_date
            and lifetime_values.customer_id = segments.customer_id
    left join {{ ref('int_outcomes') }} as outcomes
        on
            periods.snapshot_date = outcomes.snapshot_date
            and periods.horizon_days = outcomes.horizon_days
            and lifetime_values.customer_id = outcomes.customer_id
    where lifetime_values.predicted_ltv_365d is not null

),

outcomes_of_segments as (

    select
        snapshot_date,
        horizon_days,
        outcome_date,
        macro_segment,
        micro_segment_id,
        case
            when grouping(micro_segment_id) = 0 then 'micro_segment'
            when grouping(macro_segment) = 0 then 'macro_segment'
            else 'all'
        end as level,
        sum(purchase_days) as purchase_days,
        sum(net_revenue) as net_revenue
    from buyers
    group by grouping sets (
        (snapshot_date, horizon_days, outcome_date, macro_segment, micro_segment_id),
        (snapshot_date, horizon_days, outcome_date, macro_segment),
        (snapshot_date, horizon_days, outcome_date)
    )

),

final as (

    select
        outcomes.snapshot_date,
        outcomes.horizon_days,
        outcomes.outcome_date,
        expected.level,
        expected.macro_segment,
        expected.micro_segment_id,
        expected.is_modelled,
        expected.expected_orders,
        expected.expected_net_revenue,
        -- of the revenue: the value's, in proportion
        cast(round(
            cast(expected.standard_error as double) * cast(expected.expected_net_revenue as double)
            / nullif(cast(expected.predicted_ltv as double), 0), 2
        ) as decimal(18, 2)) as standard_error,
        cast(outcomes.purchase_days as bigint) as actual_orders,
        cast(outcomes.net_revenue as decimal(18, 2)) as actual_net_revenue
    from outcomes_of_segments as outcomes
    inner join {{ ref('micro_segment_values') }} as expected
        on
            outcomes.snapshot_date = expected.snapshot_date
            and outcomes.horizon_days = expected.horizon_days
            and outcomes.level = expected.level
            and coalesce(outcomes.macro_segment, '') = coalesce(expected.macro_segment, '')
            and coalesce(outcomes.micro_segment_id, '') = coalesce(expected.micro_segment_id, '')

)

select * from final
