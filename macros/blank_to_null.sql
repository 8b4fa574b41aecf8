{# Purpose: a text without the blanks around it; an empty one says nothing.
   Usage: blank_to_null('user_id')
   Output: text or null. #}
{% macro blank_to_null(column) -%}
    nullif(trim({{ column }}), '')
{%- endmacro %}
