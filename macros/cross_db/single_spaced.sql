{# Purpose: a text as people compare it: in lower case, without blanks around it, single spaces within. An empty one says
   nothing.
   Usage: single_spaced('search_query')
   Output: text or null. #}
{% macro single_spaced(column) -%}
    {{ return(adapter.dispatch('single_spaced', 'strata')(column)) }}
{%- endmacro %}

{% macro default__single_spaced(column) -%}
    nullif(trim(regexp_replace(lower({{ column }}), '\s+', ' ', 'g')), '')
{%- endmacro %}

{% macro spark__single_spaced(column) -%}
    nullif(trim(regexp_replace(lower({{ column }}), '\\s+', ' ')), '')
{%- endmacro %}
