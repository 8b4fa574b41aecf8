-- Every id once, on the day on which it first entered the books.
with days as (

    select
        is_user,
        actor_id,
        min(received_date) as received_date
    from {{ ref('int_actor_days') }}
    where {{ in_window('received_date') }}
    group by is_user, actor_id

),

final as (

    select
        days.is_user,
        days.actor_id,
        days.received_date
    from days
    {% if is_incremental() -%}
    anti join {{ this }} as earlier
        on
            days.actor_id = earlier.actor_id
            and days.is_user = earlier.is_user
            and earlier.received_date < {{ run_from() }}
    {%- endif %}

)

select * from final
