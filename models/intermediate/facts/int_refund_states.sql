-- The refunds of an order as they were known on each day on which one of its messages was posted, one row a refund
-- message. Together they never exceed the sale. A refund that states no amount is one of the products that it names, at
-- their prices; without those, of all that is left.
with sale_states as (

    select * from {{ ref('int_sale_states') }}
    where {{ in_window('received_date') }}

),

refunds as (

    select * from {{ ref('stg_order_messages') }}
    where message = 'Order Refunded' and received_date <= {{ run_to() }}

),

without_amount as (

    select message_id
    from refunds
    where amount is null

),

line_totals as (

    select
        message_id,
        cast(sum(cast(unit_price * quantity as decimal(18, 2))) as decimal(18, 2)) as amount
    from {{ ref('stg_order_lines') }}
    semi join without_amount on {{ ref('stg_order_lines') }}.message_id = without_amount.message_id
    group by message_id

),

stated as (

    select
        refunds.*,
        case
            when refunds.amount is not null then refunds.amount
            when line_totals.amount < 0 then 0
            else line_totals.amount
        end as worth
    from refunds
    left join line_totals on refunds.message_id = line_totals.message_id

),

known as (

    select
        sale_states.received_date,
        sale_states.order_id,
        sale_states.order_rate,
        sale_states.revenue_order_currency as sold,
        stated.message_id as refund_message_id,
        stated.event_date as refund_date,
        stated.event_at,
        stated.received_at,
        case
            when stated.worth is null then sale_states.revenue_order_currency
            when coalesce(stated.currency, sale_states.order_currency) = sale_states.order_currency then stated.worth
            else
                cast(
                    stated.worth
                    * (cast(stated.rate_to_reporting as double) / cast(sale_states.order_rate as double))
                    as decimal(18, 2)
                )
        end as asked
    from sale_states
    inner join stated
        on sale_states.order_id = stated.order_id and stated.received_date <= sale_states.received_date

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
