{# Purpose: whether a text is well-formed JSON.
   Usage: is_json('properties')
   Output: boolean; null for null. #}
{% macro is_json(column) -%}
    {{ return(adapter.dispatch('is_json', 'strata')(column)) }}
{%- endmacro %}

{% macro default__is_json(column) -%}
    json_valid({{ column }})
{%- endmacro %}

{% macro spark__is_json(column) -%}
    (schema_of_json({{ column }}) is not null)
{%- endmacro %}
