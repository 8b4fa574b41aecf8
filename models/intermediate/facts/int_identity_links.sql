-- A device is linked once, by the first message that enters the books with both ids, and never again: a shared device
-- stays with whoever came first, and no link can merge two people.
with messages as (

    select
        received_date,
        received_at,
        message_id,
        anonymous_id,
        user_id
    from {{ ref('stg_messages') }}
    where
        outcome = 'accepted'
        and anonymous_id is not null
        and user_id is not null
        and {{ in_window('received_date') }}

),

firsts as (

    select
        anonymous_id,
        user_id,
        received_date
    from messages
    qualify
        row_number() over (
            partition by anonymous_id
            order by received_date nulls last, received_at nulls last, message_id nulls last
        ) = 1

),

final as (

    select
        firsts.anonymous_id,
        firsts.user_id,
        firsts.received_date
    from firsts
    {% if is_incremental() -%}
    anti join {{ this }} as earlier
        on firsts.anonymous_id = earlier.anonymous_id and earlier.received_date < {{ run_from() }}
    {%- endif %}

)

select * from final
