with ledger as (

    select * from {{ ref('int_message_ledger') }}
    where received_date <= {{ as_of() }}

),

final as (

    select
        received_date,
        file,
        cast(sum(messages) as bigint) as messages_read,
        cast(sum(case when outcome = 'accepted' then messages else 0 end) as bigint) as accepted,
        cast(sum(case when outcome = 'duplicate' then messages else 0 end) as bigint) as duplicates,
        cast(sum(case when outcome = 'rejected' then messages else 0 end) as bigint) as rejected
    from ledger
    group by received_date, file

)

select * from final
