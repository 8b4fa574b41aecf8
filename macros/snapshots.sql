{# Purpose: the snapshot dates that this run computes, for an IN list or a loop.
   Usage: where snapshot_date in ({{ snapshots_to_build() }})
   Output: date literals, comma-separated; a null date where there is none. #}
{% macro snapshots_to_build() -%}
    {{ date_literals(var('snapshots_to_build')) }}
{%- endmacro %}

{% macro date_literals(dates) -%}
    {%- for day in dates -%} cast('{{ day }}' as date){{ ', ' if not loop.last }} {%- else -%} cast(null as date) {%- endfor -%}
{%- endmacro %}

{# Purpose: remove the snapshots that are no longer kept, and those that this run computes anew.
   Usage: pre-hook of every model that is partitioned by snapshot_date. #}
{% macro drop_stale_snapshots(column='snapshot_date') -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where {{ column }} in ({{ snapshots_to_build() }}) or {{ column }} not in ({{ date_literals(var('snapshots')) }})
    {%- endif -%}
{%- endmacro %}
