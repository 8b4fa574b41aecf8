-- What customers do, in one shape for the rules of audiences. A further kind is one more line or branch here, and its
-- fields in seeds/reference/audience_fields.csv. (A view: what no rule asks for is not computed.)
{{ config(materialized='view') }}

with actor_days as (

    select * from {{ ref('int_actor_days') }}

),

session_entries as (

    select * from {{ ref('int_session_entries') }}

),

search_days as (

    select * from {{ ref('int_search_days') }}

),

-- As with what was bought: the reference table tells the category, or else the message.
interest_days as (

    select
        days.received_date,
        days.event_date,
        days.is_user,
        days.actor_id,
        days.product_id,
        coalesce(products.category, days.category) as category,
        products.brand,
        days.product_views,
        days.cart_adds,
        days.wishlist_adds
    from {{ ref('int_product_interest_days') }} as days
    left join {{ ref('stg_products') }} as products on days.product_id = products.product_id

),

purchases as (

    select * from {{ ref('int_purchase_behaviours') }}

),

final as (

    {% for behaviour, field, value, times, relation in [
        ('visited', '', "''", 'sessions', 'session_entries'),
        ('searched', '', "''", 'searches', 'actor_days'),
        ('searched', 'query', 'query', 'searches', 'search_days'),
        ('viewed', '', "''", 'product_views', 'actor_days'),
        ('viewed', 'product', 'product_id', 'product_views', 'interest_days'),
        ('viewed', 'category', 'category', 'product_views', 'interest_days'),
        ('viewed', 'brand', 'brand', 'product_views', 'interest_days'),
        ('added to cart', '', "''", 'cart_adds', 'actor_days'),
        ('added to cart', 'product', 'product_id', 'cart_adds', 'interest_days'),
        ('added to cart', 'category', 'category', 'cart_adds', 'interest_days'),
        ('added to cart', 'brand', 'brand', 'cart_adds', 'interest_days'),
        ('added to wishlist', '', "''", 'wishlist_adds', 'interest_days'),
        ('added to wishlist', 'product', 'product_id', 'wishlist_adds', 'interest_days'),
        ('added to wishlist', 'category', 'category', 'wishlist_adds', 'interest_days'),
        ('added to wishlist', 'brand', 'brand', 'wishlist_adds', 'interest_days'),
        ('began checkout', '', "''", 'checkouts', 'actor_days'),
        ('received email', '', "''", 'emails_delivered', 'actor_days'),
        ('opened email', '', "''", 'emails_opened', 'actor_days'),
        ('clicked email', '', "''", 'emails_clicked', 'actor_days'),
    ] -%}
    select
        received_date,
        event_date,
        is_user,
        actor_id,
        '{{ behaviour }}' as behaviour,
        '{{ field }}' as field,
        lower(trim({{ value }})) as value,
        cast(null as {{ dbt.type_string() }}) as order_id,
        cast({{ times }} as decimal(18, 3)) as times,
        cast(0 as decimal(18, 2)) as revenue,
        cast(0 as decimal(18, 2)) as net_revenue
    from {{ relation }}
    where {{ times }} <> 0 and {{ value }} is not null
    union all
    {% endfor -%}
    select
        received_date,
        event_date,
        is_user,
        actor_id,
        'bought' as behaviour,
        field,
        value,
        order_id,
        times,
        revenue,
        net_revenue
    from purchases

)

select * from final
