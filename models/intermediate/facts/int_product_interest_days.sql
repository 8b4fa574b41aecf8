-- Which products each id looked at, put into the cart or on its wish list, day by day. What was bought is in
-- int_order_line_entries.
with messages as (

    select
        received_date,
        event_date,
        user_id is not null as is_user,
        coalesce(user_id, anonymous_id) as actor_id,
        product_id,
        product_category,
        activity
    from {{ ref('stg_messages') }}
    where
        outcome = 'accepted'
        and activity in ('product_view', 'cart_add', 'wishlist_add')
        and product_id is not null
        and {{ in_window('received_date') }}

),

final as (

    select
        received_date,
        event_date,
        is_user,
        actor_id,
        product_id,
        min({{ blank_to_null('product_category') }}) as category,
        count_if(activity = 'product_view') as product_views,
        count_if(activity = 'cart_add') as cart_adds,
        count_if(activity = 'wishlist_add') as wishlist_adds
    from messages
    group by received_date, event_date, is_user, actor_id, product_id

)

select * from final
