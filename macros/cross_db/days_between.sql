{# Purpose: every day of a range.
   Usage: days_between("cast('2025-01-01' as date)", run_to()) -- expressions that give a date
   Output: a query with the one column calendar_date; no rows where either end is null or the range is empty. #}
{% macro days_between(first_day, last_day) -%}
    {{ return(adapter.dispatch('days_between', 'strata')(first_day, last_day)) }}
{%- endmacro %}

{% macro default__days_between(first_day, last_day) -%}
    select cast(unnest(generate_series(
        cast({{ first_day }} as timestamp), cast({{ last_day }} as timestamp), interval 1 day
    )) as date) as calendar_date
{%- endmacro %}

{% macro spark__days_between(first_day, last_day) -%}
    select explode(sequence({{ first_day }}, {{ last_day }}, interval 1 day)) as calendar_date
{%- endmacro %}
