-- The lines of an order, as signed entries like the order's own: what each posting day changed about a line.
-- Lines share the order's revenue in proportion to price x quantity, so that they add up to it to the cent. A refund
-- that names products falls on their lines, any other on all, in proportion to their revenue.
with sale_states as (

    select * from {{ ref('int_sale_states') }}
    where received_date <= {{ run_to() }}

),

refund_states as (

    select * from {{ ref('int_refund_states') }}
    where received_date <= {{ run_to() }}

),

order_lines as (

    select * from {{ ref('stg_order_lines') }}
    where received_date <= {{ run_to() }}

),

touched as (

    select distinct order_id
    from sale_states
    where {{ in_window('received_date') }}

),

sales as (

    select
        sale_states.*,
        cast(sale_states.revenue_order_currency * sale_states.order_rate as decimal(18, 2)) as order_revenue,
        lead(sale_states.received_date) over (
            partition by sale_states.order_id order by sale_states.received_date nulls last
        ) as next_received_date
    from sale_states
    semi join touched on sale_states.order_id = touched.order_id

),

weighted as (

    select
        sales.received_date,
        sales.next_received_date,
        sales.order_id,
        sales.is_user,
        sales.actor_id,
        sales.order_date,
        sales.order_revenue,
        order_lines.line_number,
        order_lines.product_id,
        order_lines.product_name,
        order_lines.category,
        order_lines.brand,
        order_lines.unit_price,
        case when sales.is_cancelled then 0 else order_lines.quantity end as quantity,
        greatest(coalesce(cast(order_lines.unit_price * order_lines.quantity as decimal(18, 2)), 0), 0) as weight
    from sales
    inner join order_lines on sales.lines_message_id = order_lines.message_id

),

sold as (

    select
        *,
        {{ share_out('order_revenue', 'weight', 'order_id, received_date', 'line_number') }} as revenue
    from weighted

),

named_products as (

    select distinct
        message_id,
        product_id
    from order_lines
    where product_id is not null

),

refund_weights as (

    select
        sold.order_id,
        sold.received_date,
        sold.line_number,
        refund_states.refund_message_id,
        refund_states.refunded_revenue as refund,
        case
            when
                sum(case when named_products.product_id is not null then sold.revenue else 0 end) over (
                    partition by sold.order_id, sold.received_date, refund_states.refund_message_id
                ) = 0
                then sold.revenue
            when named_products.product_id is not null then sold.revenue
            else 0
        end as weight
    from sold
    inner join refund_states
        on sold.order_id = refund_states.order_id and sold.received_date = refund_states.received_date
    left join named_products
        on
            refund_states.refund_message_id = named_products.message_id
            and sold.product_id = named_products.product_id

),

refund_shares as (

    select
        order_id,
        received_date,
        line_number,
        {{ share_out(
            'refund', 'weight', 'order_id, received_date, refund_message_id', 'line_number'
        ) }} as refunded_revenue
    from refund_weights

),

refunded as (

    select
        order_id,
        received_date,
        line_number,
        sum(refunded_revenue) as refunded_revenue
    from refund_shares
    group by order_id, received_date, line_number

),

states as (

    select
        sold.*,
        coalesce(refunded.refunded_revenue, 0) as refunded_revenue
    from sold
    left join refunded
        on
            sold.order_id = refunded.order_id
            and sold.received_date = refunded.received_date
            and sold.line_number = refunded.line_number

),

-- A state is posted on its day, and taken back on the day on which the next one replaces it.
entries as (

    {% for sign, posted_date in [('', 'received_date'), ('-', 'next_received_date')] -%}
    select
        {{ posted_date }} as received_date,
        order_id,
        is_user,
        actor_id,
        order_date,
        line_number,
        product_id,
        product_name,
        category,
        brand,
        unit_price,
        {{ sign }}case when quantity > 0 then 1 else 0 end as lines,
        {{ sign }}quantity as quantity,
        {{ sign }}revenue as revenue,
        {{ sign }}refunded_revenue as refunded_revenue
    from states
    where {{ posted_date }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (

    select
        received_date,
        order_id,
        is_user,
        actor_id,
        order_date as event_date,
        line_number,
        product_id,
        product_name,
        category,
        brand,
        unit_price,
        cast(sum(lines) as integer) as lines,
        cast(sum(quantity) as decimal(18, 3)) as quantity,
        cast(sum(revenue) as decimal(18, 2)) as revenue,
        cast(sum(refunded_revenue) as decimal(18, 2)) as refunded_revenue,
        cast(sum(revenue - refunded_revenue) as decimal(18, 2)) as net_revenue
    from entries
    where {{ in_window('received_date') }}
    group by
        received_date, order_id, is_user, actor_id, order_date, line_number,
        product_id, product_name, category, brand, unit_price
    having sum(quantity) <> 0 or sum(revenue) <> 0 or sum(refunded_revenue) <> 0

)

select * from final
