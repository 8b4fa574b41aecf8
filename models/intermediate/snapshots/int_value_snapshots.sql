-- How a buyer's value grows and how steadily it comes, as attributes: unknown where the first order is too recent
-- (seeds/rules/thresholds.csv). The tiers of predicted value are in micro_ltv_tiers.
{% set banded = {
    'growth_profile': 'measured.growth',
    'loyalty': 'measured.month_share',
    'tenure_band': 'measured.tenure_days',
} -%}
with orders as (

    select
        *,
        {{ dbt.datediff('first_order_date', 'snapshot_date', 'day') }} as tenure_days
    from {{ ref('int_order_snapshots') }}
    where is_buyer and snapshot_date in ({{ snapshots_to_build() }})

),

-- Growth is from -1 (all of it before) to 1 (all of it in the last half year), so that a half year without revenue
-- needs no exception. Months are those since the first order, twelve at most.
measured as (

    select
        snapshot_date,
        customer_id,
        tenure_days,
        case
            when tenure_days >= {{ threshold('growth_profile', 'min_days') }}
                then {{ share(
                    'net_revenue_180d - net_revenue_previous_180d', 'net_revenue_180d + net_revenue_previous_180d'
                ) }}
        end as growth,
        case
            when tenure_days >= {{ threshold('loyalty', 'min_days') }}
                then {{ share('order_months', 'least(floor(tenure_days / 30) + 1, 12)') }}
        end as month_share
    from orders

),

final as (

    select
        measured.snapshot_date,
        measured.customer_id,
        {% for attribute in banded -%}
        coalesce({{ attribute }}_bands.band, 'unknown') as {{ attribute }},
        {% endfor -%}
        measured.growth,
        measured.month_share
    from measured
    {{- join_bands(banded) }}

)

select * from final
