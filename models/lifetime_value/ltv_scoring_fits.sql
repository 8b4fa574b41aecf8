with customers as (
    select * from {{ ref('int_customer_snapshots') }}
),

segments as (
    select distinct
        snapshot_date,
        macro_segment
    from {{ ref('macro_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})
),

parameter_fits as (
    select * from {{ ref('ltv_parameter_fits') }}
),

usable_fits as (
    select *
    from parameter_fits
    where {{ ltv_fit_is_used() }}
),

-- What every buyer of the snapshot did, for the plain estimate where no fit is usable. A customer counts as watched for
-- 90 days at least, so that a few busy days are not taken for a habit.
pooled as (
    select
        snapshot_date,
        coalesce(cast(sum(frequency) as double) / sum(greatest(age_days, 90)), 0.0) as pooled_orders_per_day,
        coalesce(
            cast(sum(repeat_spend) as double) / nullif(sum(frequency), 0),
            greatest(cast(sum(net_revenue) as double), 0.0) / nullif(sum(orders), 0),
            0.0
        ) as pooled_spend
    from customers
    where
        snapshot_date in ({{ snapshots_to_build() }})
        and is_buyer
    group by snapshot_date
),

final as (
    select
        segments.snapshot_date,
        segments.macro_segment,
        pooled.pooled_orders_per_day,
        pooled.pooled_spend,
        usable_fits.scope,
        usable_fits.cutoff_date,
        usable_fits.family,
        -- MBG/NBD: a customer may leave after the first purchase too
        case when usable_fits.family = 'mbg' then 1 else 0 end as first_purchase_exits,
        usable_fits.r,
        usable_fits.alpha,
        usable_fits.a,
        usable_fits.b,
        usable_fits.spend_fit_status = 'ok' as is_spend_modelled,
        {%- for name in ltv_triangle_columns('step') %}
        usable_fits.{{ name }},
        {%- endfor %}
        usable_fits.p,
        usable_fits.q,
        usable_fits.gamma
    from segments
    inner join pooled
        on segments.snapshot_date = pooled.snapshot_date
    left join usable_fits
        on
            usable_fits.cutoff_date <= segments.snapshot_date
            and usable_fits.scope in ('pooled', 'macro_segment = ' || segments.macro_segment)
    -- the latest; of one month-end the segment's own, where it is one that scores
    qualify
        row_number() over (
            partition by segments.snapshot_date, segments.macro_segment
            order by
                usable_fits.cutoff_date desc nulls last,
                case when usable_fits.scope = 'pooled' then 2 else 1 end nulls last
        ) = 1
)

select
    snapshot_date,
    macro_segment,
    pooled_orders_per_day,
    pooled_spend,
    scope,
    cutoff_date,
    family,
    first_purchase_exits,
    r,
    alpha,
    a,
    b,
    is_spend_modelled,
    {%- for name in ltv_triangle_columns('step') %}
    {{ name }},
    {%- endfor %}
    p,
    q,
    gamma
from final
