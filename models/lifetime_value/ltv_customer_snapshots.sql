{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ drop_stale_snapshots() }}"
    )
}}
{%- set horizons = ltv_horizons() -%}
{%- set margin = 'cast(' ~ var('ltv_margin_rate') ~ ' as double)' -%}
with estimates as (
    select * from {{ ref('ltv_spend_estimates') }}
),

scoring_fits as (
    select * from {{ ref('ltv_scoring_fits') }}
),

valued as (
    select
        *,
        {%- for days in horizons %}
        {{ margin }} * expected_spend * discounted_orders_{{ days }}d as ltv_{{ days }}d,
        {%- endfor %}
        -- Process error: how many orders, of what amounts, by a customer whose own mean is not known. Computed without
        -- discount, then scaled as the value is.
        pow({{ margin }} * expected_spend, 2) * (
            spend_spread * (order_pairs_365d + (1.0 + amount_spread) * expected_orders_365d)
            - expected_orders_365d * expected_orders_365d
        ) * coalesce(pow(discounted_orders_365d / nullif(expected_orders_365d, 0.0), 2), 0.0) as ltv_365d_variance
    from estimates
),

-- Parameter error: what one standard error along each of seven independent directions adds to the value. Directions
-- are common to all customers, so within a segment they are summed first and squared then.
shifted as (
    select
        valued.*,
        {%- for parameters in [['r', 'alpha', 'a', 'b'], ['p', 'q', 'gamma']] %}
        {%- set outer = loop.index0 %}
        {%- for direction in parameters %}
        coalesce(valued.ltv_365d * (
            {%- for name in parameters[loop.index0:] %}
            {{ '+ ' if not loop.first }}valued.log_{{ 'spend' if outer else 'orders' }}_by_{{ name }}
            * scoring_fits.step_{{ name }}_{{ direction }}
            {%- endfor %}
        ), 0.0) as shift_{{ outer * 4 + loop.index }},
        {%- endfor %}
        {%- endfor %}
        valued.frequency is not null as is_valued
    from valued
    inner join scoring_fits
        on valued.snapshot_date = scoring_fits.snapshot_date
),

-- Rounded per customer before anything is added up: sums of decimals do not depend on the order of rows.
rounded as (
    select
        snapshot_date,
        customer_id,
        cutoff_date,
        case
            when not is_valued then 'none'
            when is_modelled and is_spend_modelled then 'modelled'
            else 'heuristic'
        end as ltv_status,
        cast(round(probability_alive, 10) as decimal(18, 10)) as probability_alive,
        cast(round(1.0 - probability_alive, 10) as decimal(18, 10)) as churn_risk,
        {%- for days in horizons %}
        cast(round(expected_orders_{{ days }}d, 6) as decimal(18, 6)) as expected_orders_{{ days }}d,
        {%- endfor %}
        cast(round(expected_spend, 6) as decimal(18, 6)) as expected_spend,
        case
            when is_valued and next_order_days <= 1095
                then
                    cast(
                        {{ dbt.dateadd('day', 'cast(ceil(next_order_days) as integer)', 'snapshot_date') }} as date
                    )
        end as expected_next_order_date,
        cast(round({{ margin }} * cast(net_revenue as double), 2) as decimal(18, 2)) as historic_ltv,
        {%- for days in horizons %}
        cast(round(ltv_{{ days }}d, 2) as decimal(18, 2)) as predicted_ltv_{{ days }}d,
        {%- endfor %}
        {%- for direction in range(1, 8) %}
        case when is_valued then cast(round(shift_{{ direction }}, 4) as decimal(18, 4)) end
            as predicted_ltv_365d_shift_{{ direction }},
        {%- endfor %}
        case when is_valued then cast(round(greatest(ltv_365d_variance, 0.0), 4) as decimal(38, 4)) end
            as predicted_ltv_365d_variance
    from shifted
),

final as (
    select
        *,
        {{ customer_interval_low() }} as predicted_ltv_365d_low,
        {{ customer_interval_high() }} as predicted_ltv_365d_high
    from rounded
)

select
    snapshot_date,
    customer_id,
    cutoff_date,
    ltv_status,
    probability_alive,
    churn_risk,
    {%- for days in horizons %}
    expected_orders_{{ days }}d,
    {%- endfor %}
    expected_spend,
    expected_next_order_date,
    historic_ltv,
    {%- for days in horizons %}
    predicted_ltv_{{ days }}d,
    {%- endfor %}
    predicted_ltv_365d_low,
    predicted_ltv_365d_high,
    {%- for direction in range(1, 8) %}
    predicted_ltv_365d_shift_{{ direction }},
    {%- endfor %}
    predicted_ltv_365d_variance
from final
