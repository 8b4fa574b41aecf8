{# Purpose: a timestamp moved by a number of seconds that may differ from row to row.
   Usage: add_seconds('event_at', '3600')
   Output: a timestamp. dbt.dateadd multiplies an interval, which is several times slower on DuckDB. #}
{% macro add_seconds(column, seconds) -%}
    {{ return(adapter.dispatch('add_seconds', 'strata')(column, seconds)) }}
{%- endmacro %}

{% macro default__add_seconds(column, seconds) -%}
    make_timestamp(epoch_us({{ column }}) + 1000000 * ({{ seconds }}))
{%- endmacro %}

{% macro spark__add_seconds(column, seconds) -%}
    timestamp_micros(unix_micros({{ column }}) + 1000000 * ({{ seconds }}))
{%- endmacro %}
