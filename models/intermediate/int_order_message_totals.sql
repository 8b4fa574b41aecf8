-- What the order messages themselves come to, per currency: taken straight from the messages as of the day, in one go,
-- apart from the journal, which gets there posting day by posting day. The two must agree to the cent.
with messages as (

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

firsts as (

    select
        order_id,
        message_id,
        currency as order_currency,
        rate_to_reporting as order_rate
    from messages
    where message = 'Order Completed'
    qualify
        row_number() over (
            partition by order_id order by received_date nulls last, received_at nulls last, message_id nulls last
        ) = 1

),

amounts as (

    select
        messages.*,
        case
            when messages.amount is not null or messages.message = 'Order Cancelled' then messages.amount
            when messages.message = 'Order Refunded' and line_totals.amount < 0 then 0
            when messages.message = 'Order Refunded' then line_totals.amount
            else coalesce(greatest(line_totals.amount - messages.discount, 0), 0)
        end as stated_amount
    from messages
    left join line_totals on messages.message_id = line_totals.message_id

),

stated as (

    select
        amounts.order_id,
        amounts.message,
        amounts.message_id,
        amounts.event_at,
        amounts.received_at,
        coalesce(firsts.order_currency, amounts.currency, '{{ var("reporting_currency") }}') as order_currency,
        firsts.order_id is not null as has_order,
        amounts.message_id = firsts.message_id as is_first,
        case
            when coalesce(amounts.currency, firsts.order_currency) = firsts.order_currency then amounts.stated_amount
            else
                cast(
                    amounts.stated_amount
                    * (cast(amounts.rate_to_reporting as double) / cast(firsts.order_rate as double))
                    as decimal(18, 2)
                )
        end as amount
    from amounts
    left join firsts on amounts.order_id = firsts.order_id

),

orders as (

    select
        order_id,
        order_currency,
        max(case when is_first then amount end) as first_amount,
        max_by(
            amount, {{ struct({'event_at': 'event_at', 'received_at': 'received_at', 'message_id': 'message_id'}) }}
        ) filter (where message in ('Order Completed', 'Order Updated')) as latest_amount,
        max(case when message = 'Order Cancelled' then 1 else 0 end) as is_cancelled,
        sum(case when message in ('Order Completed', 'Order Updated') and not is_first then 1 else 0 end) as changes,
        sum(case when message = 'Order Refunded' then 1 else 0 end) as refunds,
        sum(case when message = 'Order Refunded' then coalesce(amount, 0) else 0 end) as asked,
        max(case when message = 'Order Refunded' and amount is null then 1 else 0 end) as is_refunded_whole
    from stated
    where has_order
    group by order_id, order_currency

),

valued as (

    select
        *,
        case when is_cancelled = 1 then 0 else latest_amount end as sold,
        case
            when is_cancelled = 1 then 0
            when is_refunded_whole = 1 then latest_amount
            else least(asked, latest_amount)
        end as given
    from orders

),

kinds as (

    select
        order_currency,
        'completed' as kind,
        1 as messages,
        first_amount as amount
    from valued
    union all
    select
        order_currency,
        'changed' as kind,
        changes as messages,
        latest_amount - first_amount as amount
    from valued
    union all
    select
        order_currency,
        'cancelled' as kind,
        is_cancelled as messages,
        sold - latest_amount as amount
    from valued
    union all
    select
        order_currency,
        'refunded' as kind,
        refunds as messages,
        -given as amount
    from valued
    union all
    select
        order_currency,
        'refund beyond the sale' as kind,
        1 as messages,
        asked - given as amount
    from valued
    where asked > given
    union all
    select
        order_currency,
        case message when 'Order Refunded' then 'refund without an order' else 'change without an order' end as kind,
        1 as messages,
        coalesce(amount, 0) as amount
    from stated
    where not has_order
    union all
    select
        coalesce(order_currency, '{{ var("reporting_currency") }}') as order_currency,
        'rejected: ' || reject_reason as kind,
        1 as messages,
        coalesce(order_amount, 0) as amount
    from {{ ref('stg_messages') }}
    where outcome = 'rejected' and family = 'order' and received_date <= {{ as_of() }}

),

final as (

    select
        order_currency,
        kind,
        cast(sum(messages) as bigint) as messages,
        cast(sum(amount) as decimal(18, 2)) as amount
    from kinds
    group by order_currency, kind

)

select * from final
