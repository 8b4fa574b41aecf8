with days as (

    select * from {{ ref('int_customer_days') }}

),

final as (

    select
        customer_id,
        event_date,
        sessions,
        page_views,
        product_views,
        searches,
        cart_adds,
        checkouts,
        orders,
        net_revenue,
        emails_delivered,
        emails_opened,
        emails_clicked
    from days

)

select * from final
