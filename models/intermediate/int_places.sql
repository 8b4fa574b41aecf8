-- What the reference of places says of a postal code, of a city of a state, and of a city: only what all its places
-- there agree on. It has no received_date: it is the reference as it is now, for every snapshot.
{% set features = ['urbanicity', 'climate_zone', 'terrain'] -%}
with places as (

    select
        {% for feature in features -%}
        lower({{ blank_to_null('places.' ~ feature) }}) as {{ feature }},
        {% endfor -%}
        lower(trim(places.region)) as state,
        lower(trim(places.city)) as city,
        upper(replace(places.postal_code, ' ', '')) as postal_code,
        coalesce(countries.country_code, upper(trim(places.country))) as country
    from {{ ref('stg_places') }} as places
    left join {{ ref('countries') }} as countries on lower(trim(places.country)) = lower(countries.country_name)

),

keyed as (

    {% for key in [['postal_code'], ['state', 'city'], ['city']] -%}
    select
        country,
        {% for part in ['state', 'city', 'postal_code'] -%}
        {{ part if part in key else "''" }} as {{ part }},
        {% endfor -%}
        {{ features | join(', ') }}
    from places
    where {{ key | join(' is not null and ') }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (

    select
        {% for feature in features -%}
        case when min({{ feature }}) = max({{ feature }}) then min({{ feature }}) end as {{ feature }},
        {% endfor -%}
        country,
        state,
        city,
        postal_code
    from keyed
    group by country, state, city, postal_code

)

select * from final
