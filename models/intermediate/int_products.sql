-- Every product that the reference table names, or that was ever sold. What the reference table leaves open, the latest
-- order line tells.
with reference as (

    select * from {{ ref('stg_products') }}

),

lines as (

    select * from {{ ref('int_order_line_entries') }}
    where product_id is not null and received_date <= {{ as_of() }}

),

latest_lines as (

    select
        product_id,
        product_name,
        category,
        brand
    from lines
    qualify
        row_number() over (
            partition by product_id
            order by
                event_date desc nulls last, order_id desc nulls last, line_number desc nulls last,
                received_date desc nulls last, product_name nulls last, category nulls last, brand nulls last
        ) = 1

),

ids as (

    select product_id from reference
    union
    select product_id from latest_lines

),

final as (

    select
        ids.product_id,
        coalesce(reference.product_name, latest_lines.product_name) as product_name,
        coalesce(reference.category, latest_lines.category) as category,
        coalesce(reference.brand, latest_lines.brand) as brand,
        reference.unit_cost
    from ids
    left join reference on ids.product_id = reference.product_id
    left join latest_lines on ids.product_id = latest_lines.product_id

)

select * from final
