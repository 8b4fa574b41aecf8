{# Purpose: the texts of a group joined by a separator, in alphabetical order or in that of `order_by`; nulls left out.
   Usage: sorted_text('value') or sorted_text('rule', separator=' and ', order_by='step') in a `group by`. (dbt.listagg
   ignores its order on Spark.) `order_by` must be unique within the group.
   Output: text; empty where there is none. #}
{% macro sorted_text(expression, separator=', ', order_by=none) -%}
    {{ return(adapter.dispatch('sorted_text', 'strata')(expression, separator, order_by)) }}
{%- endmacro %}

{% macro default__sorted_text(expression, separator, order_by) -%}
    coalesce(string_agg({{ expression }}, '{{ separator }}' order by {{ order_by or expression }}), '')
{%- endmacro %}

{% macro spark__sorted_text(expression, separator, order_by) -%}
    {%- if order_by -%}
        array_join(
            transform(
                array_sort(collect_list(named_struct('position', {{ order_by }}, 'item', {{ expression }}))),
                entry -> entry.item
            ),
            '{{ separator }}'
        )
    {%- else -%}
        array_join(array_sort(collect_list({{ expression }})), '{{ separator }}')
    {%- endif -%}
{%- endmacro %}
