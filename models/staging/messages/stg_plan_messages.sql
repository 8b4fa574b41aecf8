-- What each message says of a plan: a subscription to it begins or ends, or a trait names it.
with messages as (

    select
        *,
        {{ json_texts('properties', ['plan', 'billing_period']) }} as texts
    from {{ ref('stg_messages') }}
    where
        outcome = 'accepted'
        and event in ('Subscription Started', 'Subscription Cancelled')
        and {{ in_window('received_date') }}

),

trait_messages as (

    select * from {{ ref('stg_trait_messages') }}
    where plan is not null and {{ in_window('received_date') }}

),

final as (

    select
        received_date,
        message_id,
        event_at,
        user_id is not null as is_user,
        coalesce(user_id, anonymous_id) as actor_id,
        true as is_subscription,
        event = 'Subscription Started' as is_running,
        lower({{ blank_to_null(item('texts', 1)) }}) as plan,
        lower({{ blank_to_null(item('texts', 2)) }}) as plan_period
    from messages
    union all
    select
        received_date,
        message_id,
        event_at,
        is_user,
        actor_id,
        false as is_subscription,
        true as is_running,
        plan,
        cast(null as {{ dbt.type_string() }}) as plan_period
    from trait_messages
    where actor_id is not null

)

select * from final
