-- depends_on: {{ source('raw', 'places') }}
with places as (

    {{ read_reference('places', [
        'country', 'region', 'city', 'postal_code', 'urbanicity', 'climate_zone', 'terrain', 'population',
    ]) }}

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
    where country is not null
    qualify
        row_number() over (
            partition by country, city, postal_code
            order by
                region nulls last, urbanicity nulls last, climate_zone nulls last, terrain nulls last,
                population nulls last
        ) = 1

)

select * from final
