-- From the messages to the marts, per currency: the lines with is_in_total are what the messages say; together they
-- must be what the marts hold. The other lines say what was not taken in, and why.
with messages as (

    select * from {{ ref('int_order_message_totals') }}

),

entries as (

    select * from {{ ref('revenue_entries') }}

),

in_marts as (

    select
        order_currency,
        cast(sum(orders) as bigint) as orders,
        sum(net_revenue_order_currency) as amount,
        sum(net_revenue) as amount_reporting_currency
    from entries
    group by order_currency

),

steps as (

    select
        messages.*,
        case kind
            when 'completed' then 10
            when 'changed' then 20
            when 'cancelled' then 30
            when 'refunded' then 40
            else 100
        end as line_number
    from messages

),

totals as (

    select
        order_currency,
        sum(amount) as amount
    from steps
    where line_number < 100
    group by order_currency

),

currencies as (

    select order_currency from totals
    union
    select order_currency from in_marts

),

lines as (

    select
        order_currency,
        line_number,
        case kind
            when 'completed' then 'orders as first completed'
            when 'changed' then 'changed by later messages'
            when 'cancelled' then 'cancelled'
            when 'refunded' then 'refunded'
            else 'not in the marts, ' || kind
        end as line,
        line_number < 100 as is_in_total,
        messages,
        amount,
        cast(null as decimal(18, 2)) as amount_reporting_currency
    from steps
    union all
    select
        order_currency,
        90 as line_number,
        'net revenue in the marts' as line,
        false as is_in_total,
        orders as messages,
        amount,
        amount_reporting_currency
    from in_marts
    union all
    select
        currencies.order_currency,
        95 as line_number,
        'difference' as line,
        false as is_in_total,
        0 as messages,
        coalesce(in_marts.amount, 0) - coalesce(totals.amount, 0) as amount,
        cast(null as decimal(18, 2)) as amount_reporting_currency
    from currencies
    left join totals on currencies.order_currency = totals.order_currency
    left join in_marts on currencies.order_currency = in_marts.order_currency

),

final as (

    select
        order_currency,
        cast(line_number as integer) as line_number,
        line,
        is_in_total,
        cast(messages as bigint) as messages,
        cast(amount as decimal(18, 2)) as amount,
        cast(amount_reporting_currency as decimal(18, 2)) as amount_reporting_currency
    from lines

)

select * from final
