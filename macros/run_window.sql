{# The run's dates as typed literals. They are fixed once, before dbt starts, and passed in as variables. #}

{% macro run_from() -%} cast('{{ var("run_from") }}' as date) {%- endmacro %}

{% macro run_to() -%} cast('{{ var("run_to") }}' as date) {%- endmacro %}

{% macro as_of() -%} cast('{{ var("as_of") }}' as date) {%- endmacro %}

{# Purpose: whether a received date is one that this run writes.
   Usage: where {{ in_window('received_date') }} #}
{% macro in_window(column) -%}
    {{ column }} between {{ run_from() }} and {{ run_to() }}
{%- endmacro %}

{# Purpose: empty the partitions that a run writes (and whatever a broken run left behind them), before it writes them:
   running a window again replaces it, also where the new run has no rows for a day.
   Usage: pre-hook of every model that is partitioned by received_date. #}
{% macro reopen_window() -%}
    {%- if is_incremental() -%} delete from {{ this }} where received_date >= {{ run_from() }} {%- endif -%}
{%- endmacro %}
