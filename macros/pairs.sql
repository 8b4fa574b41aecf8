{# Purpose: the pairs of compared snapshots that this run computes: all that the table does not hold. drop_stale_pairs has
   removed from it what no longer holds, so what is left is what a rebuild would write.
   Usage: with pairs as ({{ pairs_to_build() }}) -- in a model with columns previous_snapshot_date and snapshot_date
   Output: a select of previous_snapshot_date and snapshot_date. #}
{% macro pairs_to_build() -%}
    select distinct
        pairs.previous_snapshot_date,
        pairs.snapshot_date
    from {{ ref('int_snapshot_pairs') }} as pairs
    {% if is_incremental() -%}
    anti join {{ this }} as written
        on
            pairs.previous_snapshot_date = written.previous_snapshot_date
            and pairs.snapshot_date = written.snapshot_date
    {%- endif %}
{%- endmacro %}

{# Purpose: remove the pairs that are no longer compared, and those of which this run computes either snapshot anew.
   Usage: pre-hook of every model that is partitioned by pairs of snapshots. #}
{% macro drop_stale_pairs() -%}
    {%- if is_incremental() -%}
        delete from {{ this }} as written
        where
            written.snapshot_date in ({{ snapshots_to_build() }})
            or written.previous_snapshot_date in ({{ snapshots_to_build() }})
            or not exists (
                select 1
                from {{ ref('int_snapshot_pairs') }} as pairs
                where
                    written.previous_snapshot_date = pairs.previous_snapshot_date
                    and written.snapshot_date = pairs.snapshot_date
            )
    {%- endif -%}
{%- endmacro %}
