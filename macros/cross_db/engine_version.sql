{# Purpose: the name and version of the engine that computes the marts.
   Usage: engine_version()
   Output: text. #}
{% macro engine_version() -%}
    {{ return(adapter.dispatch('engine_version', 'strata')()) }}
{%- endmacro %}

{% macro default__engine_version() -%}
    'DuckDB ' || version()
{%- endmacro %}

{% macro spark__engine_version() -%}
    'Spark ' || version()
{%- endmacro %}
