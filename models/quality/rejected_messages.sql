with ledger as (

    select * from {{ ref('int_message_ledger') }}
    where outcome = 'rejected' and received_date <= {{ as_of() }}

),

final as (

    select
        received_date,
        file,
        reject_reason,
        cast(sum(messages) as bigint) as messages
    from ledger
    group by received_date, file, reject_reason

)

select * from final
