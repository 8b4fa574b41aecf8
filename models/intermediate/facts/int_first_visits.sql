-- What brought an id here: the earliest visit of the first day on which one entered the books. Inserted once.
with visits as (

    select
        received_date,
        user_id is not null as is_user,
        coalesce(user_id, anonymous_id) as actor_id,
        event_at,
        message_id,
        utm_source,
        utm_medium,
        utm_campaign
    from {{ ref('stg_messages') }}
    where
        outcome = 'accepted'
        and is_visit
        and coalesce(user_id, anonymous_id) is not null
        and {{ in_window('received_date') }}

),

firsts as (

    select
        is_user,
        actor_id,
        min_by(
            {{ struct({
                'received_date': 'received_date', 'event_at': 'event_at', 'utm_source': 'utm_source',
                'utm_medium': 'utm_medium', 'utm_campaign': 'utm_campaign',
            }) }},
            {{ struct({'received_date': 'received_date', 'event_at': 'event_at', 'message_id': 'message_id'}) }}
        ) as visit
    from visits
    group by is_user, actor_id

),

final as (

    select
        firsts.is_user,
        firsts.actor_id,
        firsts.visit.received_date as received_date,
        firsts.visit.event_at as event_at,
        firsts.visit.utm_source as utm_source,
        firsts.visit.utm_medium as utm_medium,
        firsts.visit.utm_campaign as utm_campaign
    from firsts
    {% if is_incremental() -%}
    anti join {{ this }} as earlier
        on
            firsts.actor_id = earlier.actor_id
            and firsts.is_user = earlier.is_user
            and earlier.received_date < {{ run_from() }}
    {%- endif %}

)

select * from final
