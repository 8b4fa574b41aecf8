{# Purpose: whether a row lies in a partition that this run wrote, by the column that the table is partitioned by.
   Usage: in tests of tables that grow for ever: where {{ written_by_this_run('received_date') }}
   Output: a condition. #}
{% macro written_by_this_run(partition_column) -%}
    {%- if partition_column == 'received_date' -%}
        {{ in_window('received_date') }}
    {%- elif partition_column == 'snapshot_date' -%}
        snapshot_date in ({{ snapshots_to_build() }})
    {%- else -%}
        {{ exceptions.raise_compiler_error("within must be received_date or snapshot_date, not " ~ partition_column) }}
    {%- endif -%}
{%- endmacro %}
