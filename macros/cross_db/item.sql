{# Purpose: an element of a list by its position.
   Usage: item('found', 1) -- the first is 1.
   Output: the element, null beyond the end. #}
{% macro item(list, position) -%}
    {{ return(adapter.dispatch('item', 'strata')(list, position)) }}
{%- endmacro %}

{% macro default__item(list, position) -%}
    list_extract({{ list }}, {{ position }})
{%- endmacro %}

{% macro spark__item(list, position) -%}
    get({{ list }}, {{ position - 1 }})
{%- endmacro %}
