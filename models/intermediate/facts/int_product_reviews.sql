with messages as (

    select
        received_date,
        message_id,
        product_id,
        try_cast({{ item(json_texts('properties', ['rating']), 1) }} as double) as rating
    from {{ ref('stg_messages') }}
    where outcome = 'accepted' and activity = 'review' and {{ in_window('received_date') }}

),

final as (

    select
        received_date,
        message_id,
        product_id,
        rating
    from messages
    where product_id is not null and rating is not null

)

select * from final
