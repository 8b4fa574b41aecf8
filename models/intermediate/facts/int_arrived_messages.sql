-- How many messages the raw files hold, counted apart from all that is made of them: the ledger must add up to it.
with raw_messages as (

    select
        file,
        received_date
    from {{ ref('stg_raw_messages') }}

),

final as (

    select
        received_date,
        file,
        count(*) as messages
    from raw_messages
    group by received_date, file

)

select * from final
