-- What macro-segments are drawn by: who the customer is, as known on the snapshot date. Unknown is a value of its own.
with snapshots as (

    select
        snapshot_date,
        customer_id
    from {{ ref('int_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

traits as (

    select * from {{ ref('int_trait_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

countries as (

    select * from {{ ref('countries') }}

),

bands as (

    select * from {{ ref('bands') }}

),

measured as (

    select
        snapshots.snapshot_date,
        snapshots.customer_id,
        coalesce(by_name.country_code, upper(traits.country)) as country,
        traits.city,
        traits.gender,
        traits.industry,
        traits.employees,
        traits.email_consent,
        traits.industry is not null or traits.employees is not null as is_company,
        traits.birth_date is not null or try_cast(traits.age as double) is not null as is_exact_age,
        -- An age that was stated as a number grows with time; one that was stated as a band is its lower end.
        case
            when traits.birth_date is not null
                then {{ full_years('traits.birth_date', 'snapshots.snapshot_date') }}
            when try_cast(traits.age as double) is not null
                then floor(try_cast(traits.age as double))
                    + {{ full_years('traits.age_stated_date', 'snapshots.snapshot_date') }}
            else try_cast({{ leading_number('traits.age') }} as integer)
        end as age
    from snapshots
    left join traits
        on snapshots.snapshot_date = traits.snapshot_date and snapshots.customer_id = traits.customer_id
    left join countries as by_name on lower(traits.country) = lower(by_name.country_name)

),

final as (

    select
        measured.snapshot_date,
        measured.customer_id,
        case when measured.is_company then 'b2b' else 'b2c' end as customer_type,
        coalesce(measured.country, 'unknown') as country,
        coalesce(countries.region, 'unknown') as region,
        coalesce(measured.city, 'unknown') as city,
        case
            when measured.is_exact_age and age_bands.band is not null then try_cast(measured.age as integer)
        end as age,
        coalesce(age_bands.band, 'unknown') as age_band,
        coalesce(measured.gender, 'unknown') as gender,
        coalesce(measured.industry, 'unknown') as industry,
        coalesce(size_bands.band, 'unknown') as company_size_band,
        measured.email_consent
    from measured
    left join countries on measured.country = countries.country_code
    left join bands as age_bands
        on
            age_bands.attribute = 'age_band'
            and measured.age >= age_bands.from_value
            and measured.age < age_bands.below_value
    left join bands as size_bands
        on
            size_bands.attribute = 'company_size_band'
            and measured.employees >= size_bands.from_value
            and measured.employees < size_bands.below_value

)

select * from final
