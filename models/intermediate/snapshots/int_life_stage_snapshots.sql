-- The stage of life of each customer, as known on the snapshot date: the matching rule with the lowest priority number.
-- A blank matches anything; what is unknown of a customer matches nothing but a blank.
with traits as (

    select * from {{ ref('int_trait_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

partners as (

    select
        stated_value as marital_status,
        cast(value as boolean) as has_partner
    from {{ ref('stated_values') }}
    where attribute = 'has_partner'

),

rules as (

    select * from {{ ref('life_stages') }}

),

final as (

    select
        traits.snapshot_date,
        traits.customer_id,
        min_by(rules.life_stage, rules.priority) as life_stage
    from traits
    left join partners on traits.marital_status = partners.marital_status
    inner join rules
        on
            (rules.age_from is null or traits.age_from >= rules.age_from)
            and (rules.age_to is null or traits.age_to <= rules.age_to)
            and (rules.has_partner is null or partners.has_partner = rules.has_partner)
            and (rules.children_from is null or traits.children_from >= rules.children_from)
            and (rules.children_to is null or traits.children_to <= rules.children_to)
            and (rules.employment_status is null or traits.employment_status = rules.employment_status)
    group by traits.snapshot_date, traits.customer_id

)

select * from final
