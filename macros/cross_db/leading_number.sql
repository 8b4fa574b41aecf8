{# Purpose: the number that a text begins with ('35-44' gives '35').
   Usage: leading_number('age')
   Output: text of digits; empty or null where there is none. #}
{% macro leading_number(column) -%}
    {{ return(adapter.dispatch('leading_number', 'strata')(column)) }}
{%- endmacro %}

{% macro default__leading_number(column) -%}
    regexp_extract({{ column }}, '^\s*([0-9]+)', 1)
{%- endmacro %}

{% macro spark__leading_number(column) -%}
    regexp_extract({{ column }}, '^\\s*([0-9]+)', 1)
{%- endmacro %}
