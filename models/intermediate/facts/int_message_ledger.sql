with messages as (

    select * from {{ ref('stg_messages') }}
    where {{ in_window('received_date') }}

),

final as (

    select
        received_date,
        file,
        outcome,
        coalesce(reject_reason, '') as reject_reason,
        count(*) as messages
    from messages
    group by received_date, file, outcome, coalesce(reject_reason, '')

)

select * from final
