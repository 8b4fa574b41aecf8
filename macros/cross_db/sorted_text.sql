{# Purpose: the texts of a group in alphabetical order, joined by a comma and a space; nulls left out.
   Usage: sorted_text('value') in a `group by`. (dbt.listagg ignores its order on Spark.)
   Output: text; empty where there is none. #}
{% macro sorted_text(expression) -%}
    {{ return(adapter.dispatch('sorted_text', 'strata')(expression)) }}
{%- endmacro %}

{% macro default__sorted_text(expression) -%}
    coalesce(string_agg({{ expression }}, ', ' order by {{ expression }}), '')
{%- endmacro %}

{% macro spark__sorted_text(expression) -%}
    array_join(array_sort(collect_list({{ expression }})), ', ')
{%- endmacro %}
