-- The refunds of an order as they were known on each day on which one of its messages was posted, one row a refund
-- message. Together they never exceed the sale; a refund without an amount is a refund of all that is left.
with sale_states as (

    select * from {{ ref('int_sale_states') }}
    where {{ in_window('received_date') }}

),

refunds as (

    select * from {{ ref('stg_order_messages') }}
    where message = 'Order Refunded' and received_date <= {{ run_to() }}

),

known as (

    select
        sale_states.received_date,
        sale_states.order_id,
        sale_states.order_rate,
        sale_states.revenue_order_currency as sold,
        refunds.message_id as refund_message_id,
        refunds.event_date as refund_date,
        refunds.event_at,
        refunds.received_at,
        case
            when refunds.amount is null then sale_states.revenue_order_currency
            when coalesce(refunds.currency, sale_states.order_currency) = sale_states.order_currency then refunds.amount
            else
                cast(
                    refunds.amount
                    * (cast(refunds.rate_to_reporting as double) / cast(sale_states.order_rate as double))
                    as decimal(18, 2)
                )
        end as asked
    from sale_states
    inner join refunds
        on sale_states.order_id = refunds.order_id and refunds.received_date <= sale_states.received_date

),

added_up as (

    select
        *,
        sum(asked) over (
            partition by order_id, received_date
            order by event_at nulls last, received_at nulls last, refund_message_id nulls last
            rows between unbounded preceding and current row
        ) as asked_to_date
    from known

),

capped as (

    select
        received_date,
        order_id,
        refund_message_id,
        refund_date,
        order_rate,
        least(asked_to_date, sold) as given_to_date,
        least(asked_to_date - asked, sold) as given_before
    from added_up

),

final as (

    select
        received_date,
        order_id,
        refund_message_id,
        refund_date,
        cast(given_to_date - given_before as decimal(18, 2)) as refunded_order_currency,
        -- Rounded to date and then taken apart, so that a whole refund is the whole sale to the cent.
        cast(
            cast(given_to_date * order_rate as decimal(18, 2)) - cast(given_before * order_rate as decimal(18, 2))
            as decimal(18, 2)
        ) as refunded_revenue
    from capped

)

select * from final
