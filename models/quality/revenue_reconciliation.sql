-- From the messages to the marts, per currency: lines with is_in_total add up to the revenue in the marts. The others
-- say what was not taken in, and why.
with messages as (

    select * from {{ ref('int_order_message_totals') }}

),

entries as (

    select * from {{ ref('int_order_entries') }}
    where received_date <= {{ as_of() }}

),

orders as (

    select * from {{ ref('orders') }}

),

posted as (

    select
        order_currency,
        sum(case when entry_type = 'sale' then 1 else 0 end) as sales,
        sum(case when entry_type = 'update' then 1 else 0 end) as updates,
        sum(case when entry_type = 'cancellation' then 1 else 0 end) as cancellations,
        sum(case when entry_type = 'refund' then 1 else 0 end) as refunds,
        sum(case when entry_type = 'sale' then net_revenue_order_currency else 0 end) as sold,
        sum(case when entry_type = 'update' then net_revenue_order_currency else 0 end) as updated,
        sum(case when entry_type = 'cancellation' then net_revenue_order_currency else 0 end) as cancelled,
        sum(case when entry_type = 'refund' then net_revenue_order_currency else 0 end) as refunded
    from entries
    group by order_currency

),

completed as (

    select
        order_currency,
        messages,
        amount
    from messages
    where kind = 'completed'

),

in_marts as (

    select
        order_currency,
        count(*) as orders,
        sum(net_revenue_order_currency) as amount,
        sum(net_revenue) as amount_reporting_currency
    from orders
    group by order_currency

),

steps as (

    select
        order_currency,
        10 as line_number,
        'orders as first completed' as line,
        true as is_in_total,
        messages,
        amount
    from completed
    union all
    select
        posted.order_currency,
        20 as line_number,
        'changed or cancelled on the first posting day' as line,
        true as is_in_total,
        posted.sales as messages,
        posted.sold - coalesce(completed.amount, 0) as amount
    from posted
    left join completed on posted.order_currency = completed.order_currency
    {% for line_number, line, counted, amount in [
        (30, 'updated later', 'updates', 'updated'),
        (40, 'cancelled later', 'cancellations', 'cancelled'),
        (50, 'refunded', 'refunds', 'refunded'),
    ] -%}
    union all
    select
        order_currency,
        {{ line_number }} as line_number,
        '{{ line }}' as line,
        true as is_in_total,
        {{ counted }} as messages,
        {{ amount }} as amount
    from posted
    {% endfor %}
),

totals as (

    select
        order_currency,
        sum(amount) as amount
    from steps
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
        line,
        is_in_total,
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
    union all
    select
        order_currency,
        100 as line_number,
        'not in the marts, ' || kind as line,
        false as is_in_total,
        messages,
        amount,
        cast(null as decimal(18, 2)) as amount_reporting_currency
    from messages
    where kind like 'rejected%' or kind like '%without an order'

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
