-- What came of each forecast of sizes, and what was known of earlier ones when it was made: by how much their errors
-- exceeded what their variances promised, and whether they were nearer than sizes that stay as they are.
{{ config(materialized='table') }}

{% set z_95 = 1.959964 -%}
with forecasts as (

    select * from {{ ref('micro_size_forecasts') }}

),

snapshot_dates as (

    select * from {{ ref('int_snapshot_dates') }}

),

-- By the rules of the day of the forecast.
outcomes as (

    select
        previous_snapshot_date,
        snapshot_date,
        to_id_by_rules_before as micro_segment_id,
        sum(customers) as customers
    from {{ ref('micro_moves') }}
    where to_id_by_rules_before is not null
    group by previous_snapshot_date, snapshot_date, to_id_by_rules_before

),

compared as (

    select
        forecasts.*,
        case when snapshot_dates.snapshot_date is not null then coalesce(outcomes.customers, 0) end as actual_customers
    from forecasts
    left join snapshot_dates on forecasts.target_date = snapshot_dates.snapshot_date
    left join outcomes
        on
            forecasts.snapshot_date = outcomes.previous_snapshot_date
            and forecasts.target_date = outcomes.snapshot_date
            and forecasts.micro_segment_id = outcomes.micro_segment_id

),

squared as (

    select
        *,
        cast(round(least(
            power(cast(predicted_customers - actual_customers as double), 2) / nullif(cast(variance as double), 0),
            1000000
        ), 6) as decimal(18, 6)) as squared_z
    from compared

),

backtests as (

    select
        snapshot_date,
        case when count(actual_customers) > 0 then 1 end as backtests,
        sum(abs(predicted_customers - actual_customers)) as absolute_error,
        sum(abs(customers - actual_customers)) as absolute_error_unchanged,
        sum(squared_z) as squared_z,
        count(squared_z) as squares
    from squared
    group by snapshot_date

),

earlier as (

    select
        snapshot_date,
        coalesce(sum(backtests) over earlier_ones, 0) as backtests,
        sum(absolute_error) over earlier_ones as absolute_error,
        sum(absolute_error_unchanged) over earlier_ones as absolute_error_unchanged,
        sqrt(cast(sum(squared_z) over earlier_ones as double) / nullif(sum(squares) over earlier_ones, 0))
            as z_deviation
    from backtests
    window
        earlier_ones as (
            order by snapshot_date nulls last
            rows between {{ var('forecast_backtests') }} preceding and 1 preceding
        )

),

judged as (

    select
        compared.*,
        round(greatest(coalesce(earlier.z_deviation, 1), 1), 6) as z_deviation,
        case
            when earlier.backtests < {{ var('forecast_backtests') }} then 'too few forecasts before it have come due'
            when earlier.absolute_error < earlier.absolute_error_unchanged
                then 'the forecasts before it were nearer than unchanged sizes'
            else 'the forecasts before it were no nearer than unchanged sizes'
        end as is_published_reason
    from compared
    inner join earlier on compared.snapshot_date = earlier.snapshot_date

),

final as (

    select
        snapshot_date,
        target_date,
        micro_segment_id,
        customers,
        cast(round(predicted_customers, 2) as decimal(18, 2)) as predicted_customers,
        {% for bound, sign in [('low', '-'), ('high', '+')] -%}
        cast(round(
            greatest(
                cast(predicted_customers as double)
                {{ sign }} {{ z_95 }} * z_deviation * sqrt(cast(variance as double)), 0
            ),
            2
        ) as decimal(18, 2)) as predicted_customers_{{ bound }},
        {% endfor -%}
        z_deviation,
        is_published_reason = 'the forecasts before it were nearer than unchanged sizes' as is_published,
        is_published_reason,
        cast(actual_customers as bigint) as actual_customers
    from judged

)

select * from final
