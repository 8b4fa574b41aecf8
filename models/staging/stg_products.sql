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

)

select * from final
