{# Purpose: rules of a folder outside the package in place of a seed's own rows. The orchestration has read and judged the
   files; the variable own_rules says where the rows of each seed lie.
   Usage: post-hook of the seeds in seeds/rules. Output: a statement; nothing where the seed's own rows hold. #}
{% macro load_own_rules() -%}
    {%- set path = var('own_rules').get(this.identifier) -%}
    {%- if execute and path -%}
        {%- do adapter.truncate_relation(this) -%}
        {%- set columns = adapter.get_columns_in_relation(this) -%}
        insert into {{ this }} ({{ columns | map(attribute='name') | join(', ') }})
        select
            {% for column in columns -%}
            cast({{ column.name }} as {{ column.data_type }}){{ ',' if not loop.last }}
            {% endfor -%}
        from ({{ read_json_lines(path, columns | map(attribute='name') | list) }}) as own_rows
    {%- endif -%}
{%- endmacro %}
