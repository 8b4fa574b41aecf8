{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ drop_stale_snapshots() }}"
    )
}}
{%- set horizons = ltv_horizons() -%}
select
    snapshot_date,
    customer_id,
    scope,
    cutoff_date,
    ltv_status,
    probability_alive,
    churn_risk,
    {%- for days in horizons %}
    expected_orders_{{ days }}d,
    {%- endfor %}
    expected_spend,
    expected_next_order_date,
    {%- for days in horizons %}
    predicted_ltv_{{ days }}d,
    predicted_ltv_{{ days }}d_standard_error,
    {%- endfor %}
    historic_ltv
from {{ ref('ltv_value_estimates') }}
