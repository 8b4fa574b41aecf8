-- What a customer seems to be interested in: the category bought and browsed most, and the lifestyle that it stands for
-- (seeds/rules/value_groups.csv). Unknown where there are too few observations (seeds/rules/thresholds.csv).
with categories as (

    select
        snapshot_date,
        customer_id,
        interest_observations,
        case
            when interest_observations >= {{ threshold('inferred_interest', 'min_observations') }}
                then lower(inferred_interest)
        end as inferred_interest
    from {{ ref('int_category_taste_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

lifestyles as (

    select * from {{ ref('value_groups') }}
    where attribute = 'inferred_lifestyle'

),

final as (

    select
        categories.snapshot_date,
        categories.customer_id,
        categories.interest_observations,
        coalesce(categories.inferred_interest, 'unknown') as inferred_interest,
        coalesce(lifestyles.value_group, 'unknown') as inferred_lifestyle
    from categories
    left join lifestyles on categories.inferred_interest = lower(lifestyles.value)

)

select * from final
