{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='fail',
        pre_hook="{{ drop_stale_outcomes() }}"
    )
}}
-- Written once, when the horizon has ended: what was foretold at a month-end against what then happened.
with {{ outcome_periods() }},

buyers as (

    select
        periods.outcome_date,
        outcomes.*,
        ntile(10) over (
            partition by outcomes.snapshot_date, outcomes.horizon_days
            order by outcomes.expected_net_revenue nulls first, outcomes.customer_id nulls first
        ) as decile
    from periods
    inner join {{ ref('micro_customer_outcomes') }} as outcomes
        on
            periods.snapshot_date = outcomes.snapshot_date
            and periods.horizon_days = outcomes.horizon_days

),

measured as (

    select
        *,
        'orders' as measure,
        expected_orders as predicted,
        actual_orders as actual,
        cast(null as boolean) as is_covered
    from buyers
    union all
    select
        *,
        'net_revenue' as measure,
        expected_net_revenue as predicted,
        actual_net_revenue as actual,
        is_in_interval as is_covered
    from buyers

),

grouped as (

    {% for dimension, value in [
        ('all', "'all'"), ('macro_segment', 'macro_segment'), ('micro_segment', 'micro_segment_id'),
        ('cohort_month', 'cast(cohort_month as ' ~ dbt.type_string() ~ ')'),
        ('decile', 'cast(decile as ' ~ dbt.type_string() ~ ')'),
    ] -%}
    select
        *,
        '{{ dimension }}' as dimension,
        {{ value }} as dimension_value
    from measured
    where {{ value }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

-- Twice the average rank of equal values, from the highest on: whole numbers, so that sums are exact.
{% set within = 'snapshot_date, horizon_days, measure, dimension, dimension_value' -%}
ranked as (

    select
        *,
        {%- for name in ['predicted', 'actual'] %}
        2 * rank() over (partition by {{ within }} order by {{ name }} desc nulls last)
        + count(*) over (partition by {{ within }}, {{ name }}) - 1 as {{ name }}_rank,
        {%- endfor %}
        count(*) over (partition by {{ within }}) + 1 as next_rank
    from grouped

),

summed as (

    select
        snapshot_date,
        horizon_days,
        outcome_date,
        measure,
        dimension,
        dimension_value,
        count(*) as buyers,
        count_if(ltv_status = 'modelled') as buyers_modelled,
        count_if(is_covered) as buyers_covered,
        count(is_covered) as buyers_with_interval,
        sum(predicted) as predicted,
        sum(actual) as actual,
        sum(abs(actual - predicted)) as absolute_error,
        sum(cast(round(pow(cast(actual - predicted as double), 2), 4) as decimal(38, 4))) as squared_error,
        -- ranks around their mean
        sum(cast(next_rank - predicted_rank as decimal(38, 0)) * (next_rank - actual_rank)) as rank_product,
        sum(cast(next_rank - predicted_rank as decimal(38, 0)) * (next_rank - predicted_rank)) as predicted_rank_square,
        sum(cast(next_rank - actual_rank as decimal(38, 0)) * (next_rank - actual_rank)) as actual_rank_square,
        sum(cast(actual * (next_rank - predicted_rank) as decimal(38, 6))) as gini_by_predicted,
        sum(cast(actual * (next_rank - actual_rank) as decimal(38, 6))) as gini_by_actual
    from ranked
    group by snapshot_date, horizon_days, outcome_date, measure, dimension, dimension_value

),

-- The intervals of totals, as they were widened at the time
totals as (

    select
        outcomes.snapshot_date,
        outcomes.horizon_days,
        outcomes.level,
        coalesce(outcomes.micro_segment_id, outcomes.macro_segment, 'all') as level_value,
        errors.model_error is not null as is_interval_widened,
        -- what is at least earned in fewer days is earned in more, too
        max(
            {{ ltv_bound('-', 'outcomes.expected_net_revenue', 'outcomes.standard_error', 'errors.model_error') }}
        ) over (
            partition by
                outcomes.snapshot_date,
                outcomes.level,
                coalesce(outcomes.micro_segment_id, outcomes.macro_segment, 'all')
            order by outcomes.horizon_days nulls last
            rows between unbounded preceding and current row
        ) as low,
        {{ ltv_bound('+', 'outcomes.expected_net_revenue', 'outcomes.standard_error', 'errors.model_error') }} as high
    from {{ ref('micro_segment_outcomes') }} as outcomes
    left join {{ ref('micro_model_errors') }} as errors
        on
            outcomes.snapshot_date = errors.snapshot_date
            and outcomes.horizon_days = errors.horizon_days
            and outcomes.level = errors.level

),

final as (

    select
        summed.snapshot_date,
        cast(summed.horizon_days as integer) as horizon_days,
        summed.outcome_date,
        summed.dimension,
        summed.dimension_value,
        summed.measure,
        cast(summed.buyers as bigint) as buyers,
        cast(summed.buyers_modelled as bigint) as buyers_modelled,
        cast(summed.predicted as decimal(18, 2)) as predicted,
        totals.low as predicted_low,
        totals.high as predicted_high,
        cast(summed.actual as decimal(18, 2)) as actual,
        totals.is_interval_widened,
        summed.actual between totals.low and totals.high as is_in_interval,
        round(
            cast(summed.predicted - summed.actual as double) / nullif(cast(summed.actual as double), 0), 6
        ) as bias_rate,
        round(cast(summed.absolute_error as double) / summed.buyers, 6) as mean_absolute_error,
        round(sqrt(cast(summed.squared_error as double) / summed.buyers), 6) as root_mean_squared_error,
        round(
            cast(summed.rank_product as double) / nullif(
                sqrt(cast(summed.predicted_rank_square as double)) * sqrt(cast(summed.actual_rank_square as double)), 0
            ), 6
        ) as spearman,
        round(
            cast(summed.gini_by_predicted as double) / nullif(cast(summed.gini_by_actual as double), 0), 6
        ) as normalised_gini,
        round(cast(summed.buyers_covered as double) / nullif(summed.buyers_with_interval, 0), 6) as buyer_coverage_rate
    from summed
    left join totals
        on
            summed.snapshot_date = totals.snapshot_date
            and summed.horizon_days = totals.horizon_days
            and summed.measure = 'net_revenue'
            and summed.dimension = totals.level
            and summed.dimension_value = totals.level_value

)

select * from final
