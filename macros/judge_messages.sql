{# Purpose: raw messages typed, and judged: what each says, or the one reason why it can't be taken in.
   Usage: judge_messages('a_cte_of_stg_raw_messages')
   Output: a query; reject_reason is null where the message is good. A macro and not a model, because the messages with a
   repeated id, which are few, are judged apart from all the others. #}
{% macro judge_messages(messages) -%}
with message_events as (

    select * from {{ ref('message_events') }}

),

exchange_rates as (

    select * from {{ ref('stg_exchange_rates') }}

),

machine_user_agents as (

    select * from {{ ref('machine_user_agents') }}

),

known as (

    select
        messages.*,
        message_events.family,
        message_events.activity,
        coalesce(message_events.is_visit, false) as is_visit,
        coalesce(message_events.keeps_properties, false) as keeps_properties
    from {{ messages }} as messages
    left join message_events
        on case when messages.type = 'track' then messages.event else messages.type end = message_events.message

),

-- Each JSON text is parsed once, for the keys that its family has.
parsed as (

    select
        *,
        case
            when family in ('product', 'cart', 'search', 'email', 'push', 'review')
                then {{ json_texts('properties', ['product_id', 'sku', 'category', 'brand', 'name', 'query', 'campaign_id']) }}
        end as item_values,
        case
            when family = 'order'
                then {{ json_texts('properties', [
                    'order_id', 'currency', 'revenue', 'subtotal', 'total', 'shipping', 'tax', 'discount', 'products',
                ]) }}
        end as order_values,
        case
            when is_visit or family = 'order'
                then {{ json_texts('context', ['campaign.source', 'campaign.medium', 'campaign.name', 'campaign.term']) }}
        end as context_values,
        case when activity = 'email_open' then {{ json_texts('context', ['userAgent']) }} end as opening_values
    from known

),

named as (

    select
        *,
        {{ blank_to_null(item('order_values', 1)) }} as order_id,
        -- An order that states no currency is in the reporting currency; a later message about it, in the order's own.
        upper(coalesce(
            {{ blank_to_null(item('order_values', 2)) }},
            case when event = 'Order Completed' then '{{ var("reporting_currency") }}' end
        )) as currency,
        {% for amount in ['revenue', 'subtotal', 'total', 'shipping', 'tax', 'discount'] -%}
        {{ blank_to_null(item('order_values', loop.index + 2)) }} as {{ amount }}_text,
        try_cast({{ blank_to_null(item('order_values', loop.index + 2)) }} as decimal(18, 2)) as {{ amount }},
        {% endfor -%}
        {{ blank_to_null(item('order_values', 9)) }} as products
    from parsed

),

rated as (

    select
        named.*,
        case
            when coalesce(named.currency, '{{ var("reporting_currency") }}') = '{{ var("reporting_currency") }}' then 1
            else exchange_rates.rate_to_reporting
        end as rate_to_reporting,
        machine_user_agents.user_agent is not null as is_machine
    from named
    left join exchange_rates
        on
            named.order_values is not null
            and named.currency = exchange_rates.currency
            and {{ business_date('named.event_at') }} = exchange_rates.rate_date
    left join machine_user_agents on {{ item('named.opening_values', 1) }} = machine_user_agents.user_agent

),

judged as (

    select
        file,
        received_date,
        message_id,
        type,
        event,
        family,
        case when is_machine then 'machine_open' else activity end as activity,
        is_visit,
        anonymous_id,
        user_id,
        previous_id,
        group_id,
        event_at,
        coalesce(received_at, happened_at) as received_at,
        {{ business_date('event_at') }} as event_date,
        coalesce({{ item('item_values', 1) }}, {{ item('item_values', 2) }}) as product_id,
        {{ item('item_values', 3) }} as product_category,
        {{ item('item_values', 4) }} as product_brand,
        {{ item('item_values', 5) }} as product_name,
        {{ item('item_values', 6) }} as search_query,
        {{ item('item_values', 7) }} as campaign_id,
        {{ item('context_values', 1) }} as utm_source,
        {{ item('context_values', 2) }} as utm_medium,
        {{ item('context_values', 3) }} as utm_campaign,
        {{ item('context_values', 4) }} as utm_term,
        order_id,
        case when order_values is not null then currency end as order_currency,
        {{ order_net_amount() }} as order_amount,
        shipping as order_shipping,
        tax as order_tax,
        discount as order_discount,
        products as order_products,
        case when keeps_properties then properties end as properties,
        case when type in ('identify', 'group') then traits end as traits,
        case
            when is_forgotten then 'forgotten'
            when line is not null and not coalesce({{ is_json('line') }}, false) then 'malformed JSON'
            when message_id is null then 'no message_id'
            when type is null or type not in ('track', 'identify', 'page', 'screen', 'group', 'alias') then 'unknown type'
            when
                happened_at is null
                or (received_at_text is not null and received_at is null)
                or event_at < cast('1990-01-01' as timestamp)
                or posted_at is null
                or posted_at <> coalesce(received_at, happened_at)
                or happened_at > received_at + interval '1' day
                then 'bad timestamp'
            when user_id is null and anonymous_id is null and coalesce(family, '') <> 'order' then 'no identity'
            when
                (properties is not null and case
                    when item_values is not null or order_values is not null then false
                    else not {{ is_json('properties') }}
                end)
                or (context is not null and context_values is null and not {{ is_json('context') }})
                or (traits is not null and not {{ is_json('traits') }})
                or (products is not null and not ({{ is_json('products') }} and products like '[%'))
                then 'malformed JSON'
            when family = 'order' and order_id is null then 'order with no order_id'
            when
                family = 'order' and (
                    {% for amount in ['revenue', 'subtotal', 'total', 'shipping', 'tax', 'discount'] -%}
                    ({{ amount }}_text is not null and {{ amount }} is null)
                    or abs({{ amount }}) > {{ var('largest_plausible_amount') }}
                    or {% endfor -%}
                    least(revenue, subtotal, total) < 0
                    or (
                        event in ('Order Completed', 'Order Updated')
                        and coalesce(revenue, subtotal, total) is null
                        and coalesce(products, '[]') = '[]'
                    )
                )
                then 'non-numeric or absurd amount'
            when family = 'order' and rate_to_reporting is null then 'currency with no rate'
        end as reject_reason,
        line,
        happened_at_text,
        received_at_text,
        properties as raw_properties,
        traits as raw_traits,
        context as raw_context
    from rated

)

select * from judged
{%- endmacro %}
