-- depends_on: {{ source('raw', 'places') }}
with places as (

    {{ read_reference('places', ['country', 'region', 'city', 'postal_code', 'urbanicity', 'climate_zone', 'terrain', 'population']) }}

),

final as (

    select
        country,
        region,
        city,
        postal_code,
        urbanicity,
        climate_zone,
        terrain,
        try_cast(population as integer) as population
    from places

)

select * from final
