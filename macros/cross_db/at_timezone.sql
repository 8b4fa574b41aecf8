{# Purpose: a UTC timestamp as the wall-clock time of a zone.
   Usage: at_timezone('event_at', 'America/New_York')
   Output: a naive timestamp. #}
{% macro at_timezone(column, timezone) -%}
    {{ return(adapter.dispatch('at_timezone', 'strata')(column, timezone)) }}
{%- endmacro %}

{% macro default__at_timezone(column, timezone) -%}
    timezone('{{ timezone }}', timezone('UTC', {{ column }}))
{%- endmacro %}

{% macro spark__at_timezone(column, timezone) -%}
    from_utc_timestamp({{ column }}, '{{ timezone }}')
{%- endmacro %}
