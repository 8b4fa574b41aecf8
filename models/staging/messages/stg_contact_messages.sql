-- Whether an e-mail may be sent, as each message says it: a consent, a subscription or its end, a bounce, a complaint.
with messages as (

    select * from {{ ref('stg_messages') }}
    where
        outcome = 'accepted'
        and activity in ('subscribe', 'unsubscribe', 'email_bounce', 'email_spam')
        and {{ in_window('received_date') }}

),

trait_messages as (

    select * from {{ ref('stg_trait_messages') }}
    where email_consent is not null and {{ in_window('received_date') }}

),

final as (

    select
        received_date,
        message_id,
        event_at,
        user_id is not null as is_user,
        coalesce(user_id, anonymous_id) as actor_id,
        activity = 'subscribe' as is_contactable
    from messages
    union all
    select
        received_date,
        message_id,
        event_at,
        is_user,
        actor_id,
        email_consent as is_contactable
    from trait_messages

)

select * from final
