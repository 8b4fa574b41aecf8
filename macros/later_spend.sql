{# Purpose: what customers of a snapshot spent after it: by how much their net revenue in the books grew until a later
   snapshot, on a logarithmic scale, because spend is skewed and a few large customers would decide everything.
   Usage: later_spend('windows') -- after a CTE with snapshot_date and until_date, both kept snapshots
   Output: a CTE named <relation>_spend: snapshot_date, until_date, customer_id, log_later_spend (ln of 1 + the growth; 0
   where it is negative, or where the customer is not there any more under this id). Rounded, so that sums are exact. #}
{% macro later_spend(windows) -%}
    {{ windows }}_spend as (

    select
        {{ windows }}.snapshot_date,
        {{ windows }}.until_date,
        earlier.customer_id,
        cast(round(
            ln(1 + cast(greatest(coalesce(later.net_revenue - earlier.net_revenue, 0), 0) as double)), 6
        ) as decimal(18, 6)) as log_later_spend
    from {{ windows }}
    inner join {{ ref('int_customer_snapshots') }} as earlier
        on {{ windows }}.snapshot_date = earlier.snapshot_date
    left join {{ ref('int_customer_snapshots') }} as later
        on {{ windows }}.until_date = later.snapshot_date and earlier.customer_id = later.customer_id

)
{%- endmacro %}

{# Purpose: remove what was computed for windows that are no longer there, or one of whose ends this run computes anew.
   Usage: pre-hook of a model that keeps results by snapshot_date and until_date. #}
{% macro drop_changed_windows() -%}
    {%- if is_incremental() -%}
        delete from {{ this }} as kept
        where
            kept.until_date in ({{ snapshots_to_build() }})
            or not exists (
                select 1 from {{ ref('micro_spend_windows') }} as windows
                where kept.snapshot_date = windows.snapshot_date and kept.until_date = windows.until_date
            )
    {%- endif -%}
{%- endmacro %}
