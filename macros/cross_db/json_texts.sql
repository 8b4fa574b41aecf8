{# Purpose: several values of a JSON object, parsed once.
   Usage: json_texts('properties', ['product_id', 'campaign.name']) -- then item(the_list, 1), item(the_list, 2), ...
   Output: a list of texts in the order of the keys (objects and arrays as JSON text, missing ones null);
   null where the text is null or no JSON. #}
{% macro json_texts(column, keys) -%}
    {{ return(adapter.dispatch('json_texts', 'strata')(column, keys)) }}
{%- endmacro %}

{% macro default__json_texts(column, keys) -%}
    try(json_extract_string({{ column }}, [
        {%- for key in keys %}'$.{{ key }}'{{ ', ' if not loop.last }}{% endfor -%}
    ]))
{%- endmacro %}

{% macro spark__json_texts(column, keys) -%}
    array({% for key in keys %}get_json_object({{ column }}, '$.{{ key }}'){{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}
