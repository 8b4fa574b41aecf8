-- An actor is the id that a message carries: the user where it names one, else the device. Facts are keyed by it as
-- seen; who the person is, is joined on top, so that a link never rewrites a fact.
with messages as (

    select
        received_date,
        event_date,
        user_id is not null as is_user,
        coalesce(user_id, anonymous_id) as actor_id,
        activity,
        is_visit
    from {{ ref('stg_messages') }}
    where
        outcome = 'accepted'
        and coalesce(user_id, anonymous_id) is not null
        and {{ in_window('received_date') }}

),

final as (

    select
        received_date,
        event_date,
        is_user,
        actor_id,
        count(*) as messages,
        count_if(is_visit) as visit_messages,
        count_if(activity = 'page_view') as page_views,
        count_if(activity = 'product_view') as product_views,
        count_if(activity = 'search') as searches,
        count_if(activity = 'cart_add') as cart_adds,
        count_if(activity = 'checkout') as checkouts,
        count_if(activity = 'email_delivered') as emails_delivered,
        count_if(activity = 'email_open') as emails_opened,
        count_if(activity = 'email_click') as emails_clicked,
        count_if(activity = 'email_bounce' or activity = 'email_spam') as emails_refused,
        count_if(activity = 'push_received') as pushes_received,
        count_if(activity = 'push_tap') as pushes_tapped
    from messages
    group by received_date, event_date, is_user, actor_id

)

select * from final
