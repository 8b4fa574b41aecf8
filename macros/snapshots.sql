{# Purpose: the snapshot dates that this run computes, for an IN list or a loop.
   Usage: where snapshot_date in ({{ snapshots_to_build() }})
   Output: date literals, comma-separated; a null date where there is none. #}
{% macro snapshots_to_build() -%}
    {{ date_literals(var('snapshots_to_build')) }}
{%- endmacro %}

{% macro date_literals(dates) -%}
    {%- for day in dates -%} cast('{{ day }}' as date){{ ', ' if not loop.last }} {%- else -%} cast(null as date) {%- endfor -%}
{%- endmacro %}

{# Purpose: remove the snapshots that are no longer kept, and those that this run computes anew.
   Usage: pre-hook of every model that is partitioned by snapshot_date. #}
{% macro drop_stale_snapshots(column='snapshot_date') -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where {{ column }} in ({{ snapshots_to_build() }}) or {{ column }} not in ({{ date_literals(var('snapshots')) }})
    {%- endif -%}
{%- endmacro %}

{# Purpose: the snapshot dates that audiences are kept for: month-ends, and the latest.
   Output: a list of dates as text. #}
{% macro audience_snapshots() -%}
    {%- set kept = [] -%}
    {%- for day in var('snapshots') or [var('as_of')] -%}
        {%- set next_day = modules.datetime.date.fromisoformat(day) + modules.datetime.timedelta(days=1) -%}
        {%- if day == var('as_of') or next_day.day == 1 -%}{%- do kept.append(day) -%}{%- endif -%}
    {%- endfor -%}
    {{ return(kept) }}
{%- endmacro %}

{# Purpose: those of them that this run computes. The latest always is: it may have been kept as a week-end before, when
   audiences were not.
   Output: a list of dates as text. #}
{% macro audience_snapshots_to_build() -%}
    {%- set built = [] -%}
    {%- for day in audience_snapshots() if day == var('as_of') or day in var('snapshots_to_build') -%}
        {%- do built.append(day) -%}
    {%- endfor -%}
    {{ return(built) }}
{%- endmacro %}

{# Purpose: remove the snapshots that audiences are no longer kept for, and those that this run computes anew.
   Usage: pre-hook of models of audiences that are partitioned by snapshot_date. #}
{% macro drop_stale_audience_snapshots() -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where
            snapshot_date in ({{ date_literals(audience_snapshots_to_build()) }})
            or snapshot_date not in ({{ date_literals(audience_snapshots()) }})
    {%- endif -%}
{%- endmacro %}
