{# Purpose: JSON lines written by the orchestration (the manifest's files, exchange rates, rules), as rows of text.
   Usage: read_json_lines(var('manifest_path'), ['file', 'format']) -- the path, and the keys.
   Output: a query with these columns, all text; no rows where the path is empty. #}
{% macro read_json_lines(path, keys) -%}
    {{ return(adapter.dispatch('read_json_lines', 'strata')(path, keys)) }}
{%- endmacro %}

{% macro default__read_json_lines(path, keys) -%}
    {%- if path -%}
        select {{ keys | join(', ') }}
        from read_json(
            {{ dbt.string_literal(dbt.escape_single_quotes(path)) }},
            format = 'newline_delimited',
            columns = { {%- for key in keys %}{{ key }}: 'varchar'{{ ', ' if not loop.last }}{% endfor -%} }
        )
    {%- else -%}
        select {% for key in keys %}cast(null as {{ dbt.type_string() }}) as {{ key }}{{ ', ' if not loop.last }}{% endfor %}
        where 1 = 0
    {%- endif -%}
{%- endmacro %}

{% macro spark__read_json_lines(path, keys) -%}
    select {{ keys | join(', ') }}
    from json.`{{ path }}`
{%- endmacro %}
