{# Purpose: a JSON array of objects with some of their keys only; what is no object in it is null.
   Usage: json_objects('products', ['product_id', 'price'])
   Output: JSON text; null where the text is null or no JSON array. #}
{% macro json_objects(column, keys) -%}
    {{ return(adapter.dispatch('json_objects', 'strata')(column, keys)) }}
{%- endmacro %}

{% macro default__json_objects(column, keys) -%}
    try(cast(to_json(list_transform(
        cast({{ column }} as json[]),
        lambda found: case
            when json_type(found) = 'OBJECT'
                then json_object({% for key in keys %}'{{ key }}', json_extract(found, '$.{{ key }}'){{ ', ' if not loop.last }}{% endfor %})
        end
    )) as varchar))
{%- endmacro %}

{% macro spark__json_objects(column, keys) -%}
    to_json(from_json(
        {{ column }},
        'array<struct<{% for key in keys %}{{ key }}: string{{ ', ' if not loop.last }}{% endfor %}>>'
    ))
{%- endmacro %}
