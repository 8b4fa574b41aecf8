{# Purpose: columns as one JSON text.
   Usage: json_object(['message_id', 'type'])
   Output: text, the columns' names as keys, values as text or null. #}
{% macro json_object(columns) -%}
    {{ return(adapter.dispatch('json_object', 'strata')(columns)) }}
{%- endmacro %}

{% macro default__json_object(columns) -%}
    cast(json_object({% for column in columns %}'{{ column }}', {{ column }}{{ ', ' if not loop.last }}{% endfor %}) as varchar)
{%- endmacro %}

{% macro spark__json_object(columns) -%}
    to_json(named_struct({% for column in columns %}'{{ column }}', {{ column }}{{ ', ' if not loop.last }}{% endfor %}), map('ignoreNullFields', 'false'))
{%- endmacro %}
