-- What the buyers of each segment are expected to be worth, and how sure that is but for the model's own error.
{% set horizons = ltv_horizons() -%}
with lifetime_values as (

    select * from {{ ref('ltv_value_estimates') }}
    where predicted_ltv_365d is not null

),

segments as (

    select * from {{ ref('micro_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

-- What a fit got wrong is common to those whom it scores: summed by fit first.
by_fit as (

    select
        lifetime_values.snapshot_date,
        segments.macro_segment,
        segments.micro_segment_id,
        case
            when grouping(segments.micro_segment_id) = 0 then 'micro_segment'
            when grouping(segments.macro_segment) = 0 then 'macro_segment'
            else 'all'
        end as level,
        {%- for days in horizons %}
        sum(lifetime_values.expected_orders_{{ days }}d) as expected_orders_{{ days }}d,
        sum(cast(
            round(lifetime_values.expected_orders_{{ days }}d * lifetime_values.expected_spend, 2) as decimal(18, 2)
        )) as expected_net_revenue_{{ days }}d,
        sum(lifetime_values.predicted_ltv_{{ days }}d) as predicted_ltv_{{ days }}d,
        cast(sum(lifetime_values.predicted_ltv_{{ days }}d_variance) as double)
        {%- for direction in ltv_directions() %}
        + pow(cast(sum(lifetime_values.predicted_ltv_{{ days }}d_shift_{{ direction }}) as double), 2)
        {%- endfor %} as predicted_ltv_{{ days }}d_variance,
        {%- endfor %}
        count_if(lifetime_values.ltv_status <> 'modelled') as customers_not_modelled
    from lifetime_values
    left join segments
        on
            lifetime_values.snapshot_date = segments.snapshot_date
            and lifetime_values.customer_id = segments.customer_id
    group by grouping sets (
        (
            lifetime_values.snapshot_date, lifetime_values.scope, lifetime_values.cutoff_date,
            segments.macro_segment, segments.micro_segment_id
        ),
        (
            lifetime_values.snapshot_date, lifetime_values.scope, lifetime_values.cutoff_date,
            segments.macro_segment
        ),
        (lifetime_values.snapshot_date, lifetime_values.scope, lifetime_values.cutoff_date)
    )

),

totals as (

    select
        snapshot_date,
        level,
        macro_segment,
        micro_segment_id,
        {%- for days in horizons %}
        sum(expected_orders_{{ days }}d) as expected_orders_{{ days }}d,
        sum(expected_net_revenue_{{ days }}d) as expected_net_revenue_{{ days }}d,
        sum(predicted_ltv_{{ days }}d) as predicted_ltv_{{ days }}d,
        sum(cast(round(predicted_ltv_{{ days }}d_variance, 4) as decimal(38, 4))) as predicted_ltv_{{ days }}d_variance,
        {%- endfor %}
        sum(customers_not_modelled) = 0 as is_modelled
    from by_fit
    -- nobody is shown in a segment where all are too few
    where level = 'all' or macro_segment is not null
    group by snapshot_date, level, macro_segment, micro_segment_id

),

final as (

    {% for days in horizons -%}
    select
        snapshot_date,
        level,
        macro_segment,
        micro_segment_id,
        {{ days }} as horizon_days,
        is_modelled,
        cast(expected_orders_{{ days }}d as decimal(18, 6)) as expected_orders,
        cast(expected_net_revenue_{{ days }}d as decimal(18, 2)) as expected_net_revenue,
        cast(predicted_ltv_{{ days }}d as decimal(18, 2)) as predicted_ltv,
        cast(sqrt(cast(predicted_ltv_{{ days }}d_variance as double)) as decimal(18, 2)) as standard_error
    from totals
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select * from final
