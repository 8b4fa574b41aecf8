{# Purpose: the raw messages of the files that hold any of this run's received dates, Parquet and JSON lines alike.
   Usage: read_raw_messages()
   Output: a query with the columns path, line (text of a JSON line, null for Parquet), message_id, type, event,
   anonymous_id, user_id, previous_id, group_id, happened_at, received_at (naive UTC timestamps, null where unreadable),
   happened_at_text, received_at_text (as they were written), properties, traits, context (JSON texts).
   Files are picked when the query is compiled: only literal names prune, and a list of globs fails on an empty one. #}
{% macro read_raw_messages() -%}
    {{ return(adapter.dispatch('read_raw_messages', 'strata')()) }}
{%- endmacro %}

{% macro raw_text_columns() -%}
    {{ return(['message_id', 'type', 'event', 'anonymous_id', 'user_id', 'previous_id', 'group_id', 'properties', 'traits', 'context']) }}
{%- endmacro %}

{% macro default__read_raw_messages() -%}
    {%- set groups = {} -%}
    {%- if execute and var('manifest_path') -%}
        {%- set files -%}
            select path, columns
            from ({{ read_json_lines(var('manifest_path'), ['path', 'columns', 'first_received_date', 'last_received_date']) }})
            where last_received_date >= '{{ var("run_from") }}' and first_received_date <= '{{ var("run_to") }}'
            order by path
        {%- endset -%}
        {%- for row in run_query(files).rows -%}
            {%- do groups.setdefault(row[1], []).append(dbt.string_literal(dbt.escape_single_quotes(row[0]))) -%}
        {%- endfor -%}
    {%- endif -%}
    select
        cast(null as varchar) as path,
        cast(null as varchar) as line,
        {% for column in raw_text_columns() -%}
        cast(null as varchar) as {{ column }},
        {% endfor -%}
        cast(null as timestamp) as happened_at,
        cast(null as timestamp) as received_at,
        cast(null as varchar) as happened_at_text,
        cast(null as varchar) as received_at_text
    where 1 = 0
    {% for columns_json, paths in groups.items() -%}
    {%- set columns = fromjson(columns_json) -%}
    union all
    {% if columns %}
    select
        filename as path,
        null as line,
        {% for column in raw_text_columns() -%}
        {%- set found = columns.get(column) -%}
        {%- if not found -%}null
        {%- elif found[1].startswith('STRUCT') or found[1].startswith('MAP') or found[1].endswith(']') -%}
            cast(to_json({{ adapter.quote(found[0]) }}) as varchar)
        {%- else -%}cast({{ adapter.quote(found[0]) }} as varchar)
        {%- endif %} as {{ column }},
        {% endfor -%}
        {{ raw_instant(columns.get('timestamp')) }} as happened_at,
        {{ raw_instant(columns.get('received_at')) }} as received_at,
        {{ raw_instant_text(columns.get('timestamp')) }} as happened_at_text,
        {{ raw_instant_text(columns.get('received_at')) }} as received_at_text
    from read_parquet([{{ paths | join(', ') }}], filename = true)
    {% else %}
    select
        filename as path,
        line,
        coalesce(found[1], found[2]) as message_id,
        found[3] as type,
        found[4] as event,
        coalesce(found[5], found[6]) as anonymous_id,
        coalesce(found[7], found[8]) as user_id,
        coalesce(found[9], found[10]) as previous_id,
        coalesce(found[11], found[12]) as group_id,
        found[13] as properties,
        found[14] as traits,
        found[15] as context,
        {{ text_instant('found[16]') }} as happened_at,
        {{ text_instant('coalesce(found[17], found[18])') }} as received_at,
        found[16] as happened_at_text,
        coalesce(found[17], found[18]) as received_at_text
    from (
        select
            filename,
            line,
            case when starts_with(ltrim(line), '{') then try(json_extract_string(line, [
                '$.message_id', '$.messageId', '$.type', '$.event', '$.anonymous_id', '$.anonymousId', '$.user_id', '$.userId',
                '$.previous_id', '$.previousId', '$.group_id', '$.groupId', '$.properties', '$.traits', '$.context',
                '$.timestamp', '$.received_at', '$.receivedAt'
            ])) end as found
        from read_csv(
            [{{ paths | join(', ') }}],
            columns = {'line': 'varchar'}, delim = '\x01', header = false, quote = '', escape = '',
            auto_detect = false, strict_mode = false, max_line_size = 16777216, filename = true
        )
        where line is not null and trim(line) <> ''
    )
    {% endif %}
    {%- endfor -%}
{%- endmacro %}

{% macro raw_instant_text(found) -%}
    {% if found %}cast({{ adapter.quote(found[0]) }} as varchar){% else %}cast(null as varchar){% endif %}
{%- endmacro %}

{% macro raw_instant(found) -%}
    {%- if not found -%}cast(null as timestamp)
    {%- elif found[1] == 'TIMESTAMP WITH TIME ZONE' -%}make_timestamp(epoch_us({{ adapter.quote(found[0]) }}))
    {%- elif found[1].startswith('TIMESTAMP') -%}cast({{ adapter.quote(found[0]) }} as timestamp)
    {%- else -%}{{ text_instant(adapter.quote(found[0])) }}
    {%- endif -%}
{%- endmacro %}

{# An instant that was written as text, as naive UTC: with its offset or zone, where one follows the time, else as it is.
   orchestration/raw_files.py reads it alike. #}
{% macro text_instant(text) -%}
    case
        when regexp_matches({{ text }}, ':[0-9.]+ *([+-][0-9:]+|[A-Za-z][A-Za-z_/ ]+)$')
            then make_timestamp(epoch_us(try_cast({{ text }} as timestamptz)))
        else try_cast({{ text }} as timestamp)
    end
{%- endmacro %}

{% macro spark__read_raw_messages() -%}
    select
        input_file_name() as path,
        cast(null as string) as line,
        {% for column in raw_text_columns() -%}
        cast({{ column }} as string) as {{ column }},
        {% endfor -%}
        try_cast(`timestamp` as timestamp) as happened_at,
        try_cast(received_at as timestamp) as received_at,
        cast(`timestamp` as string) as happened_at_text,
        cast(received_at as string) as received_at_text
    from parquet.`{{ var('raw_root') }}/events`
{%- endmacro %}
