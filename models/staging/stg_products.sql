-- depends_on: {{ source('raw', 'products') }}
with products as (

    {{ read_reference('products', ['product_id', 'product_name', 'category', 'brand', 'unit_cost']) }}

),

final as (

    select
        product_id,
        product_name,
        category,
        brand,
        try_cast(unit_cost as decimal(18, 2)) as unit_cost
    from products
    where product_id is not null
    qualify
        row_number() over (
            partition by product_id
            order by product_name nulls last, category nulls last, brand nulls last, unit_cost nulls last
        ) = 1

)

select * from final
