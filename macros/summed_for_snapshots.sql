{# Purpose: facts added up before they meet the snapshots: those that count in the same snapshots become one row. A fact
   counts in the snapshots from its posting date on whose last `days` days hold its day.
   Usage: summed_for_snapshots('lines', ['is_user', 'actor_id', 'category'], ['revenue'], 365) -- after CTEs named `lines`
   (with received_date, event_date and these columns) and `snapshot_dates` (with snapshot_date)
   Output: a CTE named <relation>_summed: the keys, the sums, received_date and last_snapshot_date, the first and the last
   snapshot in which the row counts. As `within` of customers_of: lines_summed.last_snapshot_date >= snapshot_date. #}
{% macro summed_for_snapshots(relation, keys, sums, days) -%}
    {{ relation }}_spans as (

    select
        dates.received_date,
        dates.event_date,
        min(snapshot_dates.snapshot_date) as first_snapshot_date,
        max(snapshot_dates.snapshot_date) as last_snapshot_date
    from (select distinct received_date, event_date from {{ relation }}) as dates
    inner join snapshot_dates
        on
            dates.received_date <= snapshot_dates.snapshot_date
            and dates.event_date > {{ dbt.dateadd('day', -days, 'snapshot_dates.snapshot_date') }}
    group by dates.received_date, dates.event_date

),

{{ relation }}_summed as (

    select
        spans.first_snapshot_date as received_date,
        spans.last_snapshot_date
        {%- for key in keys %},
        facts.{{ key }}
        {%- endfor %}
        {%- for measure in sums %},
        sum(facts.{{ measure }}) as {{ measure }}
        {%- endfor %}
    from {{ relation }} as facts
    inner join {{ relation }}_spans as spans
        on facts.received_date = spans.received_date and facts.event_date = spans.event_date
    group by
        spans.first_snapshot_date, spans.last_snapshot_date
        {%- for key in keys %}, facts.{{ key }}{% endfor %}

)
{%- endmacro %}
