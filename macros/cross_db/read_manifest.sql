{# Purpose: JSON lines written by the orchestration (the manifest's files, the exchange rates), as rows of text.
   Usage: read_manifest('manifest_path', ['file', 'format']) -- the name of the variable that holds the path, and the keys.
   Output: a query with these columns, all text; no rows where the variable is empty. #}
{% macro read_manifest(path_variable, keys) -%}
    {{ return(adapter.dispatch('read_manifest', 'strata')(path_variable, keys)) }}
{%- endmacro %}

{% macro default__read_manifest(path_variable, keys) -%}
    {%- if var(path_variable) -%}
        select {{ keys | join(', ') }}
        from read_json(
            {{ dbt.string_literal(var(path_variable)) }},
            format = 'newline_delimited',
            columns = { {%- for key in keys %}{{ key }}: 'varchar'{{ ', ' if not loop.last }}{% endfor -%} }
        )
    {%- else -%}
        select {% for key in keys %}cast(null as {{ dbt.type_string() }}) as {{ key }}{{ ', ' if not loop.last }}{% endfor %}
        where 1 = 0
    {%- endif -%}
{%- endmacro %}

{% macro spark__read_manifest(path_variable, keys) -%}
    select {{ keys | join(', ') }}
    from json.`{{ var(path_variable) }}`
{%- endmacro %}
