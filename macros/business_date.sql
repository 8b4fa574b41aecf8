{# Purpose: the business day of a UTC timestamp, in the variable business_timezone.
   Usage: business_date('event_at')
   Output: a date. The zone's offsets are passed in by the orchestration as data (a CASE over them costs a twentieth of
   asking the engine's time-zone library for each row); without them the engine is asked. #}
{% macro business_date(column) -%}
    {%- set offsets = var('utc_offsets') -%}
    {%- if var('business_timezone') == 'UTC' -%}
        cast({{ column }} as date)
    {%- elif offsets -%}
        cast({{ add_seconds(column, seconds_east(column, offsets)) }} as date)
    {%- else -%}
        cast({{ at_timezone(column, var('business_timezone')) }} as date)
    {%- endif -%}
{%- endmacro %}

{% macro seconds_east(column, offsets) -%}
    {%- if offsets | length == 1 -%}{{ offsets[0][1] }}
    {%- else -%}
        case
        {%- for from_utc, seconds in offsets[1:] | reverse %} when {{ column }} >= cast('{{ from_utc }}' as timestamp) then {{ seconds }}{% endfor %}
        else {{ offsets[0][1] }} end
    {%- endif -%}
{%- endmacro %}
