-- Where the customer is, as known on the snapshot date, and what the reference of places says of it as it is now.
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

store_formats as (

    select * from {{ ref('int_store_format_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

countries as (

    select * from {{ ref('countries') }}

),

places as (

    select * from {{ ref('int_places') }}

),

addresses as (

    select
        snapshots.snapshot_date,
        snapshots.customer_id,
        coalesce(by_name.country_code, upper(traits.country)) as country,
        traits.state,
        traits.city,
        traits.district,
        traits.postal_code
    from snapshots
    left join traits
        on snapshots.snapshot_date = traits.snapshot_date and snapshots.customer_id = traits.customer_id
    left join countries as by_name on lower(traits.country) = lower(by_name.country_name)

),

final as (

    select
        addresses.snapshot_date,
        addresses.customer_id,
        coalesce(addresses.country, 'unknown') as country,
        coalesce(countries.region, 'unknown') as region,
        coalesce(addresses.state, 'unknown') as state,
        coalesce(addresses.city, 'unknown') as city,
        coalesce(addresses.district, 'unknown') as district,
        coalesce(addresses.postal_code, 'unknown') as postal_code,
        {% for feature in ['climate_zone', 'terrain', 'urbanicity'] -%}
        coalesce(
            by_postal_code.{{ feature }}, by_state_and_city.{{ feature }}, by_city.{{ feature }}, 'unknown'
        ) as {{ feature }},
        {% endfor -%}
        coalesce(store_formats.store_format, 'unknown') as store_format
    from addresses
    left join countries on addresses.country = countries.country_code
    left join places as by_postal_code
        on
            addresses.country = by_postal_code.country
            and upper(replace(addresses.postal_code, ' ', '')) = by_postal_code.postal_code
            and by_postal_code.city = ''
    left join places as by_state_and_city
        on
            addresses.country = by_state_and_city.country
            and lower(addresses.state) = by_state_and_city.state
            and lower(addresses.city) = by_state_and_city.city
    left join places as by_city
        on
            addresses.country = by_city.country
            and lower(addresses.city) = by_city.city
            and by_city.state = ''
    left join store_formats
        on
            addresses.snapshot_date = store_formats.snapshot_date
            and addresses.customer_id = store_formats.customer_id

)

select * from final
