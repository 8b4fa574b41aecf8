-- By how much the model itself was wrong, as the back-tests that had ended by each snapshot show: the mean squared
-- relative error of segments' totals, beyond what chance and uncertain parameters explain. It widens the intervals.
with built_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

outcomes as (

    select *
    from {{ ref('micro_segment_outcomes') }}
    where is_modelled and expected_net_revenue > 0 and standard_error is not null

),

evidence as (

    select
        built_dates.snapshot_date,
        outcomes.level,
        outcomes.horizon_days,
        outcomes.snapshot_date as foretold_date,
        dense_rank() over (
            partition by built_dates.snapshot_date, outcomes.level, outcomes.horizon_days
            order by outcomes.snapshot_date desc nulls last
        ) as recency_rank,
        cast(outcomes.expected_net_revenue as double) as expected,
        cast(outcomes.actual_net_revenue as double) as actual,
        cast(outcomes.standard_error as double) as standard_error
    from built_dates
    inner join outcomes on outcomes.outcome_date <= built_dates.snapshot_date

),

-- A year of month-ends: what the model got wrong long ago, with little data, says little of today.
measured as (

    select
        snapshot_date,
        level,
        horizon_days,
        count(distinct foretold_date) as backtests,
        sum(cast(round((pow(actual - expected, 2) - pow(standard_error, 2)) / expected, 4) as decimal(38, 4)))
            as weighted_excess,
        sum(cast(expected as decimal(38, 2))) as weight
    from evidence
    where recency_rank <= 12
    group by snapshot_date, level, horizon_days

),

wanted as (

    {% for days in ltv_horizons() -%}
    select {{ days }} as horizon_days
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

errors as (

    select
        snapshot_date,
        level,
        horizon_days,
        cast(backtests as bigint) as backtests,
        cast(
            sqrt(greatest(0.0, cast(weighted_excess as double) / cast(weight as double))) as decimal(18, 6)
        ) as model_error
    from measured

),

-- The worst of the horizons up to this one: errors grow with the horizon, and the longer ones have seen fewer months.
-- Before any of them has ended, the shortest speaks.
final as (

    select
        errors.snapshot_date,
        errors.level,
        wanted.horizon_days,
        errors.horizon_days as evidence_horizon_days,
        errors.backtests,
        errors.model_error
    from errors
    cross join wanted
    qualify
        row_number() over (
            partition by errors.snapshot_date, errors.level, wanted.horizon_days
            order by
                case when errors.horizon_days <= wanted.horizon_days then errors.model_error end desc nulls last,
                errors.horizon_days nulls last
        ) = 1

)

select * from final
