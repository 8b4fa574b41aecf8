-- A message counts once over all history. What earlier runs accepted was tested then, so only this run's are looked
-- at.
with accepted as (

    select
        message_id,
        received_date
    from {{ ref('stg_messages') }}
    where outcome = 'accepted' and {{ in_window('received_date') }}

),

earlier as (

    select message_id
    from {{ ref('stg_messages') }}
    where outcome = 'accepted' and received_date < {{ run_from() }}

)

select message_id
from accepted
group by message_id
having count(*) > 1 or message_id is null
union all
select earlier.message_id
from earlier
semi join accepted on earlier.message_id = accepted.message_id
