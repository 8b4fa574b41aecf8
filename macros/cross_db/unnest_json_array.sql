{# Purpose: the elements of a JSON array of objects, to be unnested into rows.
   Usage: cross_join_items('products', 'line') in a FROM: `from orders {{ unnest_json_array('orders.products', 'line') }}`
   Output: a lateral join with the columns <alias>.item (JSON text of one element) and <alias>.position (from 1). #}
{% macro unnest_json_array(column, alias) -%}
    {{ return(adapter.dispatch('unnest_json_array', 'strata')(column, alias)) }}
{%- endmacro %}

{% macro default__unnest_json_array(column, alias) -%}
    cross join lateral (
        select
            unnest(cast({{ column }} as json[])) as item_json,
            cast(unnest(cast({{ column }} as json[])) as varchar) as item,
            generate_subscripts(cast({{ column }} as json[]), 1) as position
    ) as {{ alias }}
{%- endmacro %}

{% macro spark__unnest_json_array(column, alias) -%}
    lateral view posexplode(from_json({{ column }}, 'array<string>')) {{ alias }} as position, item
{%- endmacro %}
