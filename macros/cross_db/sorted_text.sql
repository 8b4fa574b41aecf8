{# Purpose: the texts of a group in alphabetical order, joined by a separator (a comma and a space); nulls left out.
   Usage: sorted_text('value') in a `group by`. (dbt.listagg ignores its order on Spark.)
   Output: text; empty where there is none. #}
{% macro sorted_text(expression, separator=', ') -%}
    {{ return(adapter.dispatch('sorted_text', 'strata')(expression, separator)) }}
{%- endmacro %}

{% macro default__sorted_text(expression, separator) -%}
    coalesce(string_agg({{ expression }}, '{{ separator }}' order by {{ expression }}), '')
{%- endmacro %}

{% macro spark__sorted_text(expression, separator) -%}
    array_join(array_sort(collect_list({{ expression }})), '{{ separator }}')
{%- endmacro %}
