-- Nothing is silently lost: the messages that were counted in the files are the messages of the ledger, per posting
-- date and file, and each is accepted, a duplicate or rejected.
with ledger as (

    select
        received_date,
        file,
        sum(messages) as messages
    from {{ ref('int_message_ledger') }}
    group by received_date, file

),

compared as (

    select
        arrived.file as arrived_file,
        ledger.file as ledger_file,
        arrived.messages as arrived,
        ledger.messages as judged
    from {{ ref('int_arrived_messages') }} as arrived
    full outer join ledger on arrived.received_date = ledger.received_date and arrived.file = ledger.file

)

select
    coalesce(arrived_file, ledger_file) as file,
    arrived,
    judged
from compared
where coalesce(arrived, 0) <> coalesce(judged, 0)
union all
select
    file,
    messages_read as arrived,
    accepted + duplicates + rejected as judged
from {{ ref('message_ledger') }}
where messages_read <> accepted + duplicates + rejected
