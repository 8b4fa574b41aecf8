{# Purpose: schemas are named after their layer alone (marts, quality, ...), with no prefix of the target.
   Usage: dbt calls it for every node. Output: the schema name. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
