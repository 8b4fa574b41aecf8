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
    where store_id is not null
    qualify
        row_number() over (
            partition by store_id
            order by
                name nulls last, country nulls last, region nulls last, city nulls last, postal_code nulls last,
                format nulls last
        ) = 1

)

select * from final
