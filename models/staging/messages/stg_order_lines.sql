with order_messages as (

    select * from {{ ref('stg_order_messages') }}
    where products is not null and {{ in_window('received_date') }}

),

unnested as (

    select
        order_messages.received_date,
        order_messages.order_id,
        order_messages.message_id,
        product.position as line_number,
        {{ json_texts('product.item', [
            'product_id', 'sku', 'name', 'category', 'brand', 'price', 'quantity',
        ]) }} as texts
    from order_messages
    {{ unnest_json_array('order_messages.products', 'product') }}

),

-- A price or quantity that can't be true says nothing; the order's own amount does.
{% set largest = 'cast(' ~ var('largest_plausible_amount') ~ ' as double)' -%}
typed as (

    select
        *,
        try_cast({{ item('texts', 6) }} as double) as price_stated,
        coalesce(try_cast({{ item('texts', 7) }} as double), 1) as quantity_stated
    from unnested

),

final as (

    select
        received_date,
        order_id,
        message_id,
        cast(line_number as integer) as line_number,
        coalesce({{ item('texts', 1) }}, {{ item('texts', 2) }}) as product_id,
        {{ item('texts', 3) }} as product_name,
        {{ item('texts', 4) }} as category,
        {{ item('texts', 5) }} as brand,
        case
            when abs(price_stated) <= {{ largest }} and abs(price_stated * quantity_stated) <= {{ largest }}
                then try_cast({{ item('texts', 6) }} as decimal(18, 2))
        end as unit_price,
        case
            when abs(quantity_stated) <= {{ largest }}
                then coalesce(try_cast({{ item('texts', 7) }} as decimal(18, 3)), 1)
            else 1
        end as quantity
    from typed

)

select * from final
