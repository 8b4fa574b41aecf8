with messages as (

    select * from {{ ref('stg_messages') }}
    where outcome = 'accepted' and family = 'order' and {{ in_window('received_date') }}

),

parsed as (

    select
        *,
        {{ json_texts('properties', [
            'channel', 'store_id', 'coupon', 'shipping_method', 'use_case', 'requested_delivery',
        ]) }} as texts
    from messages

),

exchange_rates as (

    select * from {{ ref('stg_exchange_rates') }}

),

final as (

    select
        parsed.received_date,
        parsed.message_id,
        order_id,
        event as message,
        user_id is not null as is_user,
        coalesce(user_id, anonymous_id) as actor_id,
        event_at,
        received_at,
        event_date,
        order_currency as currency,
        -- A message in a currency with no rate on its day has been rejected.
        coalesce(exchange_rates.rate_to_reporting, 1) as rate_to_reporting,
        order_amount as amount,
        coalesce(order_shipping, 0) as shipping,
        coalesce(order_tax, 0) as tax,
        coalesce(order_discount, 0) as discount,
        {{ item('texts', 1) }} as sales_channel,
        {{ item('texts', 2) }} as store_id,
        nullif({{ item('texts', 3) }}, '') as coupon,
        utm_campaign,
        lower({{ blank_to_null(item('texts', 4)) }}) as shipping_method,
        lower({{ blank_to_null(item('texts', 5)) }}) as use_case,
        try_cast({{ item('texts', 6) }} as date) as requested_delivery_date,
        order_products as products
    from parsed
    left join exchange_rates
        on parsed.order_currency = exchange_rates.currency and parsed.event_date = exchange_rates.rate_date

)

select * from final
