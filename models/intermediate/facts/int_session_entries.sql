-- Sessions don't add up by nature: a late message can join two of them. So the sessions of a device and business day
-- are counted anew for every day on which one of its messages is posted, and the difference to the count before is
-- posted.
with visits as (

    select
        received_date,
        event_date,
        coalesce(anonymous_id, user_id) as device_id,
        user_id,
        event_at
    from {{ ref('stg_messages') }}
    where outcome = 'accepted' and is_visit and coalesce(anonymous_id, user_id) is not null

),

arrived as (

    select * from visits
    where {{ in_window('received_date') }}

),

touched as (

    select
        device_id,
        event_date,
        min(received_date) as first_received_date,
        max(received_date) as last_received_date
    from arrived
    group by device_id, event_date

),

{% if is_incremental() -%}
earlier as (

    select visits.*
    from visits
    semi join touched
        on visits.device_id = touched.device_id and visits.event_date = touched.event_date
    where visits.received_date < {{ run_from() }}

),

{% endif -%}
-- Device days whose messages were all posted at once, nearly all of them, need no second count.
reposted as (

    select
        device_id,
        event_date
    from touched
    where first_received_date < last_received_date
    {% if is_incremental() -%}
    union
    select
        device_id,
        event_date
    from earlier
    {%- endif %}

),

reposted_visits as (

    select arrived.*
    from arrived
    semi join reposted
        on arrived.device_id = reposted.device_id and arrived.event_date = reposted.event_date
    {% if is_incremental() -%}
    union all
    select * from earlier
    {%- endif %}

),

postings as (

    select
        device_id,
        event_date,
        received_date as posted_date,
        lead(received_date) over (
            partition by device_id, event_date order by received_date nulls last
        ) as next_posted_date
    from reposted_visits
    group by device_id, event_date, received_date

),

-- What was known on each posting date: all that had been posted by then.
known as (

    select
        arrived.received_date as posted_date,
        cast(null as date) as next_posted_date,
        arrived.device_id,
        arrived.event_date,
        arrived.user_id,
        arrived.event_at
    from arrived
    anti join reposted
        on arrived.device_id = reposted.device_id and arrived.event_date = reposted.event_date
    union all
    select
        postings.posted_date,
        postings.next_posted_date,
        reposted_visits.device_id,
        reposted_visits.event_date,
        reposted_visits.user_id,
        reposted_visits.event_at
    from reposted_visits
    inner join postings
        on
            reposted_visits.device_id = postings.device_id
            and reposted_visits.event_date = postings.event_date
            and reposted_visits.received_date <= postings.posted_date

),

-- A session belongs to the next user who is named on the device that day, else to the device.
-- Of visits at one instant it doesn't matter which comes first, but for their users.
visits_in_order as (

    select
        posted_date,
        next_posted_date,
        device_id,
        event_date,
        event_at,
        lag(event_at) over (
            partition by device_id, event_date, posted_date order by event_at nulls last, user_id nulls last
        ) as previous_event_at,
        first_value(user_id ignore nulls) over (
            partition by device_id, event_date, posted_date order by event_at nulls last, user_id nulls last
            rows between current row and unbounded following
        ) as session_user_id
    from known

),

counts as (

    select
        posted_date,
        next_posted_date,
        device_id,
        event_date,
        session_user_id is not null as is_user,
        coalesce(session_user_id, device_id) as actor_id,
        count(*) as sessions
    from visits_in_order
    where
        previous_event_at is null
        or event_at >= {{ add_seconds('previous_event_at', var('session_gap_minutes') * 60) }}
    group by
        posted_date, next_posted_date, device_id, event_date,
        session_user_id is not null, coalesce(session_user_id, device_id)

),

-- A count is posted on its day, and taken back on the day on which the next one replaces it.
entries as (

    select
        posted_date as received_date,
        device_id,
        event_date,
        is_user,
        actor_id,
        sessions
    from counts
    union all
    select
        next_posted_date as received_date,
        device_id,
        event_date,
        is_user,
        actor_id,
        -sessions as sessions
    from counts
    where next_posted_date is not null

),

final as (

    select
        received_date,
        device_id,
        event_date,
        is_user,
        actor_id,
        cast(sum(sessions) as bigint) as sessions
    from entries
    where {{ in_window('received_date') }}
    group by received_date, device_id, event_date, is_user, actor_id
    having sum(sessions) <> 0

)

select * from final
