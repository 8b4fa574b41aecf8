with messages as (

    select
        *,
        {{ json_texts('properties', ['question', 'score', 'answer']) }} as texts
    from {{ ref('stg_messages') }}
    where outcome = 'accepted' and event = 'Survey Answered' and {{ in_window('received_date') }}

),

final as (

    select
        received_date,
        message_id,
        event_at,
        user_id is not null as is_user,
        coalesce(user_id, anonymous_id) as actor_id,
        lower({{ blank_to_null(item('texts', 1)) }}) as question,
        try_cast({{ item('texts', 2) }} as double) as score,
        lower(coalesce({{ blank_to_null(item('texts', 3)) }}, {{ blank_to_null(item('texts', 2)) }})) as answer
    from messages

)

select * from final
