{# Purpose: the hash by which the list of those who were forgotten knows an id. orchestration/forgotten.py makes the same.
   Usage: forgotten_hash('user_id')
   Output: text. #}
{% macro forgotten_hash(column) -%}
    {{ dbt.hash(
        "(select id_key from " ~ ref('stg_id_key') ~ ") || '|forgotten|' || case when " ~ column ~ " like '%@%' then lower("
        ~ column ~ ") else " ~ column ~ " end"
    ) }}
{%- endmacro %}

{# Purpose: what the books need of an order's properties, and nothing else.
   Usage: anonymous_order_properties()
   Output: a list of keys of the properties. #}
{% macro anonymous_order_properties() -%}
    {{ return([
        'order_id', 'currency', 'revenue', 'subtotal', 'total', 'shipping', 'tax', 'discount', 'coupon', 'affiliation',
        'channel', 'store_id', 'products',
    ]) }}
{%- endmacro %}

{# Purpose: what the books need of a product of an order, and nothing else.
   Usage: anonymous_product_properties()
   Output: a list of keys of the product. #}
{% macro anonymous_product_properties() -%}
    {{ return([
        'product_id', 'sku', 'name', 'category', 'brand', 'variant', 'price', 'quantity', 'coupon', 'position',
    ]) }}
{%- endmacro %}
