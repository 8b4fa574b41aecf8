{# Purpose: several values as one, to be kept or compared together (in the order of the keys).
   Usage: struct({'event_at': 'event_at', 'message_id': 'message_id'}) -- field name: expression
   Output: a struct. #}
{% macro struct(fields) -%}
    {{ return(adapter.dispatch('struct', 'strata')(fields)) }}
{%- endmacro %}

{% macro default__struct(fields) -%}
    struct_pack({% for name, expression in fields.items() %}{{ name }} := {{ expression }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{% macro spark__struct(fields) -%}
    named_struct({% for name, expression in fields.items() %}'{{ name }}', {{ expression }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}
