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
        line as raw_message,
        -- A clock that runs ahead can't have seen the future: the collector's time holds.
        case when happened_at > received_at then received_at else happened_at end as event_at
    from dated
    where {{ in_window('received_date') }}

),

{% if var('forgotten_path') -%}
-- Each id that arrived is hashed once, however many messages carry it.
forgotten_ids as (

    select arrived.id
    from (
        select user_id as id from named
        union
        select anonymous_id as id from named
        union
        select previous_id as id from named
    ) as arrived
    semi join {{ ref('stg_forgotten_ids') }} as listed on {{ forgotten_hash('arrived.id') }} = listed.id_hash

),

-- An order of somebody who was forgotten is an order without a customer; nothing else of theirs is taken in.
recognised as (

    select
        named.*,
        case
            when
                users.id is null
                and previous.id is null
                and (named.user_id is not null or devices.id is null)
                then 'known'
            when message_events.message is null then 'forgotten'
            else 'anonymous order'
        end as sender
    from named
    left join forgotten_ids as users on named.user_id = users.id
    left join forgotten_ids as devices on named.anonymous_id = devices.id
    left join forgotten_ids as previous on named.previous_id = previous.id
    left join {{ ref('message_events') }} as message_events
        on named.type = 'track' and message_events.family = 'order' and named.event = message_events.message

),

parsed as (

    select
        *,
        case
            when sender = 'anonymous order' then {{ json_texts('properties', anonymous_order_properties()) }}
        end as order_values
    from recognised

),

order_properties as (

    select
        *,
        {% for key in anonymous_order_properties() -%}
        {{ item('order_values', loop.index) }} as {{ key }}{{ ',' if not loop.last }}
        {% endfor -%}
    from parsed

),

{% endif -%}
final as (

    select
        file,
        received_date,
        type,
        event,
        happened_at,
        received_at,
        happened_at_text,
        received_at_text,
        posted_at,
        event_at,
        {% if var('forgotten_path') -%}
        case when sender <> 'forgotten' then message_id end as message_id,
        {% for column in ['anonymous_id', 'user_id', 'previous_id', 'group_id', 'traits', 'context', 'raw_message'] -%}
        case when sender = 'known' then {{ column }} end as {{ column }},
        {% endfor -%}
        case sender
            when 'known' then properties
            when 'anonymous order' then {{ json_object(anonymous_order_properties()) }}
        end as properties,
        sender = 'forgotten' as is_forgotten
    from order_properties
        {%- else -%}
        message_id,
        anonymous_id,
        user_id,
        previous_id,
        group_id,
        traits,
        context,
        raw_message,
        properties,
        false as is_forgotten
    from named
        {%- endif %}

)

select * from final
