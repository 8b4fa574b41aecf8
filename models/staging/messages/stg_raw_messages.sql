-- depends_on: {{ source('raw', 'messages') }}
-- depends_on: {{ ref('stg_forgotten_ids') }}
-- depends_on: {{ ref('stg_id_key') }}
-- depends_on: {{ ref('message_events') }}
{{ config(materialized='view') }}

with read_messages as (

    {{ read_raw_messages() }}

),

-- An instant beyond all calendars can't be reckoned with: it is as good as unreadable.
raw_messages as (

    select
        path,
        line,
        {% for column in raw_text_columns() -%}
        {{ column }},
        {% endfor -%}
        {% for instant in ['happened_at', 'received_at'] -%}
        case
            when {{ instant }} >= cast('1900-01-01' as timestamp) and {{ instant }} < cast('2200-01-01' as timestamp)
                then {{ instant }}
        end as {{ instant }},
        {% endfor -%}
        happened_at_text,
        received_at_text
    from read_messages

),

files as (

    select * from {{ ref('stg_files') }}

),

-- An instant that can't be true (before 1990, or after the file was first seen) dates no posting.
posted as (

    select
        files.file,
        files.open_date,
        files.first_received_date,
        raw_messages.*,
        case
            when
                coalesce(raw_messages.received_at, raw_messages.happened_at) >= cast('1990-01-01' as timestamp)
                and coalesce(raw_messages.received_at, raw_messages.happened_at)
                <= files.first_seen_at + interval '1' day
                then coalesce(raw_messages.received_at, raw_messages.happened_at)
            when
                raw_messages.happened_at >= cast('1990-01-01' as timestamp)
                and raw_messages.happened_at <= files.first_seen_at + interval '1' day
                then raw_messages.happened_at
        end as posted_at
    from raw_messages
    inner join files on raw_messages.path = files.path

),

dated as (

    select
        *,
        greatest(
            coalesce({{ business_date('posted_at') }}, first_received_date),
            coalesce(open_date, cast('1990-01-01' as date))
        ) as received_date
    from posted

),

named as (

    select
        file,
        received_date,
        {% for column in ['message_id', 'anonymous_id', 'user_id', 'previous_id', 'group_id'] -%}
        {{ blank_to_null(column) }} as {{ column }},
        {% endfor -%}
        type,
        event,
        happened_at,
        received_at,
        happened_at_text,
        received_at_text,
        posted_at,
        properties,
        traits,
        context,
        line,
        -- A clock that runs ahead can't have seen the future: the collector's time holds.
        case when happened_at > received_at then received_at else happened_at end as event_at
    from dated
    where {{ in_window('received_date') }}

),

{{ without_forgotten('named', 'taken_in') }},

final as (

    select
        file,
        received_date,
        message_id,
        type,
        event,
        anonymous_id,
        user_id,
        previous_id,
        group_id,
        happened_at,
        received_at,
        happened_at_text,
        received_at_text,
        posted_at,
        event_at,
        properties,
        traits,
        context,
        line,
        is_forgotten
    from taken_in

)

select * from final
