-- depends_on: {{ source('raw', 'stores') }}
with stores as (

    {{ read_reference('stores', ['store_id', 'name', 'country', 'region', 'city', 'postal_code', 'format']) }}

),

final as (

    select
        store_id,
        name as store_name,
        country,
        region,
        city,
        postal_code,
        format as store_format
    from stores

)

select * from final
