{# Purpose: the periods after month-ends whose outcome is known by now, and that this model has not written yet: what was
   foretold at a month-end is held against what was posted by the end of its horizon, so an outcome never changes.
   Usage: a CTE in a model with the hook below. `identity_date` is the last month-end by the end of the period: who was
   behind an id is taken from there.
   Output: a CTE named periods: snapshot_date, horizon_days, outcome_date, identity_date. #}
{% macro outcome_periods() -%}
    horizons as (

    {% for days in ltv_horizons() -%}
    select {{ days }} as horizon_days
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

known_outcomes as (

    select
        snapshot_dates.snapshot_date,
        horizons.horizon_days,
        cast({{ dbt.dateadd('day', 'horizons.horizon_days', 'snapshot_dates.snapshot_date') }} as date) as outcome_date
    from {{ ref('int_snapshot_dates') }} as snapshot_dates
    cross join horizons
    where snapshot_dates.is_month_end

),

periods as (

    select
        *,
        case
            when outcome_date = last_day(outcome_date) then outcome_date
            else last_day(cast({{ dbt.dateadd('month', -1, 'outcome_date') }} as date))
        end as identity_date
    from known_outcomes
    where
        outcome_date <= {{ as_of() }}
        {%- if is_incremental() %}
        and not exists (
            select 1
            from {{ this }} as written
            where
                written.snapshot_date = known_outcomes.snapshot_date
                and written.horizon_days = known_outcomes.horizon_days
        )
        {%- endif %}

)
{%- endmacro %}

{# Purpose: remove the outcomes of snapshots that this run computes anew or that are not kept, and those that end in days
   that this run writes, or after as_of. Usage: pre-hook of a model with outcome_periods(). #}
{% macro drop_stale_outcomes() -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where
            snapshot_date in ({{ snapshots_to_build() }}) or snapshot_date not in ({{ date_literals(var('snapshots')) }})
            or outcome_date >= {{ run_from() }} or outcome_date > {{ as_of() }}
    {%- endif -%}
{%- endmacro %}
