{# Purpose: an optional reference table that lies beside the events, as Parquet, CSV or JSON lines.
   Usage: read_reference('products', ['product_id', 'product_name'])
   Output: a query with these columns, all text; a missing column is null; no rows where the file is absent. #}
{% macro read_reference(name, columns) -%}
    {{ return(adapter.dispatch('read_reference', 'strata')(name, columns)) }}
{%- endmacro %}

{% macro default__read_reference(name, columns) -%}
    {%- set found = namespace(reader='', present=[]) -%}
    {%- if execute and var('raw_root') -%}
        {%- for suffix, reader in [('parquet', 'read_parquet'), ('csv', 'read_csv'), ('jsonl', 'read_json')] -%}
            {%- set path = dbt.string_literal(dbt.escape_single_quotes(var('raw_root') ~ '/' ~ name ~ '.' ~ suffix)) -%}
            {%- set options = ', all_varchar = true' if suffix == 'csv' else '' -%}
            {%- if not found.reader and run_query('select count(*) from glob(' ~ path ~ ')').columns[0].values()[0] > 0 -%}
                {%- set found.reader = reader ~ '(' ~ path ~ options ~ ')' -%}
                {%- set found.present = run_query('describe select * from ' ~ found.reader).columns[0].values() | list -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    select
        {% for column in columns -%}
        cast({{ column if column in found.present else 'null' }} as {{ dbt.type_string() }}) as {{ column }}{{ ',' if not loop.last }}
        {% endfor -%}
    {%- if found.reader -%}
    from {{ found.reader }}
    {%- else -%}
    where 1 = 0
    {%- endif -%}
{%- endmacro %}

{% macro spark__read_reference(name, columns) -%}
    select
        {% for column in columns -%}
        cast({{ column }} as {{ dbt.type_string() }}) as {{ column }}{{ ',' if not loop.last }}
        {% endfor -%}
    from parquet.`{{ var('raw_root') }}/{{ name }}.parquet`
{%- endmacro %}
