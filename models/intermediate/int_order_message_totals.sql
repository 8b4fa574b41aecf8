-- What the messages themselves say was sold, refunded or rejected, per currency: read straight from the messages, apart
-- from the journal of orders that it is held against. One row per currency and kind of amount.
with order_messages as (

    select * from {{ ref('stg_order_messages') }}
    where received_date <= {{ as_of() }}

),

line_totals as (

    select
        message_id,
        sum(cast(unit_price * quantity as decimal(18, 2))) as amount
    from {{ ref('stg_order_lines') }}
    where received_date <= {{ as_of() }}
    group by message_id

),

amounts as (

    select
        order_messages.*,
        coalesce(order_messages.amount, line_totals.amount - order_messages.discount, 0) as stated_amount,
        row_number() over (
            partition by order_messages.order_id, order_messages.message
            order by
                order_messages.received_date nulls last,
                order_messages.received_at nulls last,
                order_messages.message_id nulls last
        ) as message_number,
        max(case when order_messages.message = 'Order Completed' then 1 else 0 end) over (
            partition by order_messages.order_id
        ) as has_order
    from order_messages
    left join line_totals on order_messages.message_id = line_totals.message_id

),

kinds as (

    select
        currency as order_currency,
        case
            when message = 'Order Completed' and message_number = 1 then 'completed'
            when message = 'Order Completed' then 'sent again'
            when message = 'Order Refunded' and has_order = 1 then 'refund asked'
            when message = 'Order Refunded' then 'refund without an order'
            when has_order = 0 then 'change without an order'
            else 'change'
        end as kind,
        stated_amount as amount
    from amounts

),

rejected as (

    select
        coalesce(order_currency, '{{ var("reporting_currency") }}') as order_currency,
        'rejected: ' || reject_reason as kind,
        order_amount as amount
    from {{ ref('stg_messages') }}
    where outcome = 'rejected' and family = 'order' and received_date <= {{ as_of() }}

),

unioned as (

    select * from kinds
    union all
    select * from rejected

),

final as (

    select
        order_currency,
        kind,
        count(*) as messages,
        cast(coalesce(sum(amount), 0) as decimal(18, 2)) as amount
    from unioned
    group by order_currency, kind

)

select * from final
