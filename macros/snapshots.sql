{# Purpose: the snapshots that this run computes, as typed date literals for `in (...)`; a null when there are none.
   Usage: where snapshot_date in ({{ snapshots_to_build() }}) #}
{% macro snapshots_to_build() -%}
    {%- for day in var('snapshots_to_build') -%}
        date '{{ day }}'{{ ', ' if not loop.last }}
    {%- else -%}
        cast(null as date)
    {%- endfor -%}
{%- endmacro %}

{# Purpose: before an incremental model appends, take out the snapshots that this run computes anew or that are no
   longer kept. Usage: pre_hook of a model with one partition a snapshot; `date_column` names the partition. #}
{% macro drop_stale_snapshots(date_column='snapshot_date') -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where {{ date_column }} in ({{ snapshots_to_build() }})
        {%- if var('snapshots') %}
            or {{ date_column }} not in (
                {%- for day in var('snapshots') %}date '{{ day }}'{{ ', ' if not loop.last }}{% endfor -%}
            )
        {%- else %}
            or true
        {%- endif %}
    {%- endif -%}
{%- endmacro %}
