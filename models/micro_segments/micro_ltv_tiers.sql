-- The buyers' tiers of predicted value, by shares of the buyers. Equal values are in one tier.
with lifetime_values as (

    select * from {{ ref('ltv_customer_snapshots') }}
    where predicted_ltv_365d is not null and snapshot_date in ({{ snapshots_to_build() }})

),

ranked as (

    select
        snapshot_date,
        customer_id,
        percent_rank() over (partition by snapshot_date order by predicted_ltv_365d nulls first) as ltv_share
    from lifetime_values

),

final as (

    select
        ranked.snapshot_date,
        ranked.customer_id,
        ltv_tier_bands.band as ltv_tier
    from ranked
    {{- join_bands({'ltv_tier': 'ranked.ltv_share'}, 'quantile_bands') }}

)

select * from final
