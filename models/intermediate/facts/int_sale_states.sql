-- The sale side of an order as it was known on each day on which one of its messages was posted.
-- Date, buyer and currency come from the first Order Completed to enter the books and never change; amounts from the
-- latest Completed or Updated. Nothing is known of an order before it was completed.
with order_messages as (

    select * from {{ ref('stg_order_messages') }}
    where received_date <= {{ run_to() }}

),

touched as (

    select distinct order_id
    from order_messages
    where {{ in_window('received_date') }}

),

messages as (

    select order_messages.*
    from order_messages
    semi join touched on order_messages.order_id = touched.order_id

),

line_totals as (

    select
        message_id,
        cast(sum(quantity) as decimal(18, 3)) as items,
        cast(sum(cast(unit_price * quantity as decimal(18, 2))) as decimal(18, 2)) as amount
    from {{ ref('stg_order_lines') }}
    semi join touched on {{ ref('stg_order_lines') }}.order_id = touched.order_id
    group by message_id

),

firsts as (

    select
        order_id,
        received_date as first_received_date,
        is_user,
        actor_id,
        event_date as order_date,
        currency as order_currency,
        rate_to_reporting as order_rate
    from messages
    where message = 'Order Completed'
    qualify
        row_number() over (
            partition by order_id order by received_date nulls last, received_at nulls last, message_id nulls last
        ) = 1

),

postings as (

    select distinct
        messages.order_id,
        messages.received_date as posted_date
    from messages
    inner join firsts on messages.order_id = firsts.order_id
    where messages.received_date >= firsts.first_received_date and {{ in_window('messages.received_date') }}

),

latest as (

    select
        postings.order_id,
        postings.posted_date,
        max_by(
            messages.message_id,
            {{ struct({
                'event_at': 'messages.event_at',
                'received_at': 'messages.received_at',
                'message_id': 'messages.message_id',
            }) }}
        ) filter (where messages.message in ('Order Completed', 'Order Updated')) as message_id,
        -- An update that lists no products leaves the products as they were.
        max_by(
            messages.message_id,
            {{ struct({
                'event_at': 'messages.event_at',
                'received_at': 'messages.received_at',
                'message_id': 'messages.message_id',
            }) }}
        ) filter (
            where messages.message in ('Order Completed', 'Order Updated') and line_totals.message_id is not null
        ) as lines_message_id,
        max(case when messages.message = 'Order Cancelled' then 1 else 0 end) = 1 as is_cancelled
    from postings
    inner join messages
        on postings.order_id = messages.order_id and messages.received_date <= postings.posted_date
    left join line_totals on messages.message_id = line_totals.message_id
    group by postings.order_id, postings.posted_date

),

-- In the order's own currency; a cancelled order is worth nothing.
valued as (

    select
        latest.posted_date,
        latest.lines_message_id,
        latest.is_cancelled,
        messages.sales_channel,
        messages.store_id,
        messages.coupon,
        messages.utm_campaign,
        messages.shipping_method,
        messages.use_case,
        messages.requested_delivery_date,
        firsts.*,
        case
            when latest.is_cancelled then 0
            when coalesce(messages.currency, firsts.order_currency) = firsts.order_currency then 1
            else cast(messages.rate_to_reporting as double) / cast(firsts.order_rate as double)
        end as factor,
        coalesce(messages.amount, greatest(line_totals.amount - messages.discount, 0), 0) as amount,
        messages.discount,
        messages.tax,
        messages.shipping,
        case when latest.is_cancelled then 0 else coalesce(line_totals.items, 0) end as items
    from latest
    inner join firsts on latest.order_id = firsts.order_id
    inner join messages on latest.message_id = messages.message_id
    left join line_totals on latest.lines_message_id = line_totals.message_id

),

final as (

    select
        posted_date as received_date,
        order_id,
        is_user,
        actor_id,
        order_date,
        order_currency,
        order_rate,
        is_cancelled,
        sales_channel,
        store_id,
        coupon,
        utm_campaign,
        shipping_method,
        use_case,
        requested_delivery_date,
        lines_message_id,
        cast(items as decimal(18, 3)) as items,
        cast(amount * factor as decimal(18, 2)) as revenue_order_currency,
        cast(discount * factor as decimal(18, 2)) as discount_order_currency,
        cast(tax * factor as decimal(18, 2)) as tax_order_currency,
        cast(shipping * factor as decimal(18, 2)) as shipping_order_currency
    from valued

)

select * from final
