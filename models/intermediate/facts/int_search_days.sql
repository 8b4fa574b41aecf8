-- What each id searched for on each day. A search that says no words is counted in int_actor_days alone.
with messages as (

    select
        received_date,
        event_date,
        user_id is not null as is_user,
        coalesce(user_id, anonymous_id) as actor_id,
        {{ single_spaced('search_query') }} as query
    from {{ ref('stg_messages') }}
    where
        outcome = 'accepted'
        and activity = 'search'
        and {{ in_window('received_date') }}

),

final as (

    select
        received_date,
        event_date,
        is_user,
        actor_id,
        query,
        count(*) as searches
    from messages
    where query is not null
    group by received_date, event_date, is_user, actor_id, query

)

select * from final
