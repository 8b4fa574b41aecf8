-- The first alias of an id holds.
with messages as (

    select
        received_date,
        received_at,
        message_id,
        previous_id,
        coalesce(user_id, anonymous_id) as user_id
    from {{ ref('stg_messages') }}
    where
        outcome = 'accepted'
        and type = 'alias'
        and previous_id is not null
        and previous_id <> coalesce(user_id, anonymous_id)
        and {{ in_window('received_date') }}

),

firsts as (

    select
        previous_id,
        user_id,
        received_date
    from messages
    qualify
        row_number() over (
            partition by previous_id
            order by received_date nulls last, received_at nulls last, message_id nulls last
        ) = 1

),

final as (

    select
        firsts.previous_id,
        firsts.user_id,
        firsts.received_date
    from firsts
    {% if is_incremental() -%}
    anti join {{ this }} as earlier
        on firsts.previous_id = earlier.previous_id and earlier.received_date < {{ run_from() }}
    {%- endif %}

)

select * from final
