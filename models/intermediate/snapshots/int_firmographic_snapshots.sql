-- The company that the customer acts for, and the plan, as known on the snapshot date.
with snapshots as (

    select
        snapshot_date,
        customer_id,
        orders
    from {{ ref('int_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

traits as (

    select * from {{ ref('int_trait_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

plans as (

    select * from {{ ref('int_plan_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

countries as (

    select * from {{ ref('countries') }}

),

bands as (

    select * from {{ ref('bands') }}

),

companies as (

    select
        traits.snapshot_date,
        traits.company_id,
        sum(snapshots.orders) as orders,
        count_if(snapshots.orders > 0) as ordering_people
    from traits
    inner join snapshots
        on traits.snapshot_date = snapshots.snapshot_date and traits.customer_id = snapshots.customer_id
    where traits.company_id is not null
    group by traits.snapshot_date, traits.company_id

),

buying as (

    select
        companies.snapshot_date,
        companies.company_id,
        min_by(rules.buying_structure, rules.priority) as buying_structure
    from companies
    inner join {{ ref('buying_structures') }} as rules
        on
            companies.orders >= rules.orders_from
            and companies.ordering_people <= coalesce(rules.ordering_people_to, companies.ordering_people)
    group by companies.snapshot_date, companies.company_id

),

final as (

    select
        snapshots.snapshot_date,
        snapshots.customer_id,
        case when traits.is_company then 'b2b' else 'b2c' end as customer_type,
        coalesce(traits.industry, 'unknown') as industry,
        coalesce(size_bands.band, 'unknown') as company_size_band,
        coalesce(by_name.country_code, upper(traits.company_country), 'unknown') as company_country,
        coalesce(traits.company_city, 'unknown') as company_city,
        coalesce(buying.buying_structure, 'unknown') as buying_structure,
        coalesce(plans.plan, 'unknown') as plan,
        coalesce(plans.plan_period, 'none') as plan_period
    from snapshots
    left join traits
        on snapshots.snapshot_date = traits.snapshot_date and snapshots.customer_id = traits.customer_id
    left join plans
        on snapshots.snapshot_date = plans.snapshot_date and snapshots.customer_id = plans.customer_id
    left join buying
        on traits.snapshot_date = buying.snapshot_date and traits.company_id = buying.company_id
    left join countries as by_name on lower(traits.company_country) = lower(by_name.country_name)
    left join bands as size_bands
        on {{ in_band('size_bands', "'company_size_band'", 'traits.employees_from', 'traits.employees_to') }}

)

select * from final
