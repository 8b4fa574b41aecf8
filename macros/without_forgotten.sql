{# Purpose: what may be taken in of messages of people who were forgotten: of an order, the order without its customer; of
   anything else nothing, but that it came. Where nobody was forgotten, every message as it is.
   Usage: without_forgotten('named', 'taken_in') -- after a CTE `named` with the columns of raw messages
   Output: a chain of CTEs that ends with <name>: the same columns, and is_forgotten. #}
{% macro without_forgotten(relation, name) -%}
{%- if var('forgotten_path') -%}
-- Each id that arrived is hashed once, however many messages carry it.
forgotten_ids as (

    select arrived.id
    from (
        select user_id as id from {{ relation }}
        union
        select anonymous_id as id from {{ relation }}
        union
        select previous_id as id from {{ relation }}
    ) as arrived
    semi join {{ ref('stg_forgotten_ids') }} as listed on {{ forgotten_hash('arrived.id') }} = listed.id_hash

),

-- An order of somebody who was forgotten is an order without a customer; nothing else of theirs is taken in.
recognised as (

    select
        {{ relation }}.*,
        case
            when
                users.id is null
                and previous.id is null
                and ({{ relation }}.user_id is not null or devices.id is null)
                then 'known'
            when message_events.message is null then 'forgotten'
            else 'anonymous order'
        end as sender
    from {{ relation }}
    left join forgotten_ids as users on {{ relation }}.user_id = users.id
    left join forgotten_ids as devices on {{ relation }}.anonymous_id = devices.id
    left join forgotten_ids as previous on {{ relation }}.previous_id = previous.id
    left join {{ ref('message_events') }} as message_events
        on {{ relation }}.type = 'track' and message_events.family = 'order' and {{ relation }}.event = message_events.message

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
        {% set value = item('order_values', loop.index) -%}
        {% if key == 'products' -%}
        case
            when {{ value }} like '[%' then {{ json_objects(value, anonymous_product_properties()) }}
            when {{ value }} is not null then 'forgotten'
        end
        {%- else -%}
        {{ value }}
        {%- endif %} as {{ key }}{{ ',' if not loop.last }}
        {% endfor -%}
    from parsed

),

{{ name }} as (

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

)
{%- else -%}
{{ name }} as (

    select
        *,
        false as is_forgotten
    from {{ relation }}

)
{%- endif -%}
{%- endmacro %}
