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
        -- Process error: how many orders, of what amounts, by a customer whose own mean is not known. Computed without
        -- discount, then scaled as the value is.
        pow({{ margin }} * expected_spend, 2) * (
            spend_spread * (order_pairs_{{ days }}d + (1.0 + amount_spread) * expected_orders_{{ days }}d)
            - expected_orders_{{ days }}d * expected_orders_{{ days }}d
        ) * coalesce(pow(discounted_orders_{{ days }}d / nullif(expected_orders_{{ days }}d, 0.0), 2), 0.0)
            as ltv_{{ days }}d_variance,
        {%- endfor %}
        frequency is not null as is_valued
    from estimates
),

-- Parameter error: what one standard error along each of seven independent directions adds to the value. Directions
-- are common to all customers of a fit, so within it they are summed first and squared then.
shifted as (
    select
        {%- for days in horizons %}
        {%- for parameters in [['r', 'alpha', 'a', 'b'], ['p', 'q', 'gamma']] %}
        {%- set by = 'log_spend_by_' if loop.last else 'log_orders_' ~ days ~ 'd_by_' %}
        {%- set first_shift = loop.index0 * 4 %}
        {%- for direction in parameters %}
        coalesce(valued.ltv_{{ days }}d * (
            {%- for name in parameters[loop.index0:] %}
            {{ '+ ' if not loop.first }}valued.{{ by }}{{ name }} * scoring_fits.step_{{ name }}_{{ direction }}
            {%- endfor %}
        ), 0.0) as shift_{{ days }}d_{{ first_shift + loop.index }},
        {%- endfor %}
        {%- endfor %}
        {%- endfor %}
        valued.*
    from valued
    inner join scoring_fits
        on
            valued.snapshot_date = scoring_fits.snapshot_date
            and valued.macro_segment = scoring_fits.macro_segment
),

-- Rounded per customer before anything is added up: sums of decimals do not depend on the order of rows.
final as (
    select
        snapshot_date,
        customer_id,
        scope,
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
        {%- for days in horizons %}
        cast(round(ltv_{{ days }}d, 2) as decimal(18, 2)) as predicted_ltv_{{ days }}d,
        case when is_valued then cast(round(greatest(ltv_{{ days }}d_variance, 0.0), 4) as decimal(38, 4)) end
            as predicted_ltv_{{ days }}d_variance,
        {%- for direction in ltv_directions() %}
        case when is_valued then cast(round(shift_{{ days }}d_{{ direction }}, 4) as decimal(18, 4)) end
            as predicted_ltv_{{ days }}d_shift_{{ direction }},
        {%- endfor %}
        {%- endfor %}
        cast(round({{ margin }} * cast(net_revenue as double), 2) as decimal(18, 2)) as historic_ltv
    from shifted
)

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
    predicted_ltv_{{ days }}d_variance,
    {%- for direction in ltv_directions() %}
    predicted_ltv_{{ days }}d_shift_{{ direction }},
    {%- endfor %}
    {%- endfor %}
    historic_ltv
from final
