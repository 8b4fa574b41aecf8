{# Purpose: the numbers of the layers that a tree can have, below its base. A test refuses a seed with more layers.
   Output: a list of numbers. #}
{% macro layer_numbers() -%}
    {{ return([1, 2, 3, 4, 5, 6]) }}
{%- endmacro %}
