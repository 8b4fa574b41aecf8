-- The journal of orders: what each posting day changed about an order, as signed entries that are never edited.
-- Every entry carries the order's day as its event_date, so that value is netted on the day of purchase; a refund's own
-- day is kept beside it.
with sale_states as (

    select * from {{ ref('int_sale_states') }}
    where received_date <= {{ run_to() }}

),

refund_states as (

    select * from {{ ref('int_refund_states') }}
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
        case when sale_states.is_cancelled then 0 else 1 end as orders,
        {% for amount in ['revenue', 'discount', 'tax', 'shipping'] -%}
        cast(sale_states.{{ amount }}_order_currency * sale_states.order_rate as decimal(18, 2)) as {{ amount }},
        {% endfor -%}
        row_number() over (
            partition by sale_states.order_id order by sale_states.received_date nulls last
        ) as posting_number
    from sale_states
    semi join touched on sale_states.order_id = touched.order_id

),

{% set measures = ['orders', 'items', 'revenue', 'discount', 'tax', 'shipping', 'revenue_order_currency'] -%}
sale_changes as (

    select
        received_date,
        order_id,
        is_user,
        actor_id,
        order_date,
        order_currency,
        case
            when posting_number = 1 then 'sale'
            when
                is_cancelled
                and not lag(is_cancelled) over (partition by order_id order by received_date nulls last)
                then 'cancellation'
            else 'update'
        end as entry_type,
        cast(null as date) as refund_date,
        {% for measure in measures -%}
        {{ measure }} - coalesce(
            lag({{ measure }}) over (partition by order_id order by received_date nulls last), 0
        ) as {{ measure }},
        {% endfor -%}
        cast(0 as decimal(18, 2)) as refunded_revenue,
        cast(0 as decimal(18, 2)) as refunded_order_currency
    from sales

),

refund_deltas as (

    select
        refund_states.received_date,
        refund_states.order_id,
        refund_states.refund_date,
        refund_states.refunded_revenue - coalesce(lag(refund_states.refunded_revenue) over (
            partition by refund_states.order_id, refund_states.refund_message_id
            order by refund_states.received_date nulls last
        ), 0) as refunded_revenue,
        refund_states.refunded_order_currency - coalesce(lag(refund_states.refunded_order_currency) over (
            partition by refund_states.order_id, refund_states.refund_message_id
            order by refund_states.received_date nulls last
        ), 0) as refunded_order_currency
    from refund_states
    semi join touched on refund_states.order_id = touched.order_id

),

refund_changes as (

    select
        refund_deltas.received_date,
        refund_deltas.order_id,
        sales.is_user,
        sales.actor_id,
        sales.order_date,
        sales.order_currency,
        'refund' as entry_type,
        refund_deltas.refund_date,
        {% for measure in measures -%}
        0 as {{ measure }},
        {% endfor -%}
        sum(refund_deltas.refunded_revenue) as refunded_revenue,
        sum(refund_deltas.refunded_order_currency) as refunded_order_currency
    from refund_deltas
    inner join sales
        on refund_deltas.order_id = sales.order_id and refund_deltas.received_date = sales.received_date
    group by
        refund_deltas.received_date, refund_deltas.order_id, refund_deltas.refund_date,
        sales.is_user, sales.actor_id, sales.order_date, sales.order_currency

),

entries as (

    select * from sale_changes
    union all
    select * from refund_changes

),

final as (

    select
        received_date,
        {{ dbt.hash(
            "order_id || '|' || cast(received_date as " ~ dbt.type_string() ~ ") || '|' || entry_type || '|' || "
            ~ "coalesce(cast(refund_date as " ~ dbt.type_string() ~ "), '')"
        ) }} as entry_id,
        order_id,
        is_user,
        actor_id,
        entry_type,
        order_date as event_date,
        refund_date,
        order_currency,
        cast(orders as integer) as orders,
        cast(items as decimal(18, 3)) as items,
        cast(discount as decimal(18, 2)) as discount,
        cast(tax as decimal(18, 2)) as tax,
        cast(shipping as decimal(18, 2)) as shipping,
        cast(revenue as decimal(18, 2)) as revenue,
        cast(refunded_revenue as decimal(18, 2)) as refunded_revenue,
        cast(revenue - refunded_revenue as decimal(18, 2)) as net_revenue,
        cast(revenue_order_currency - refunded_order_currency as decimal(18, 2)) as net_revenue_order_currency
    from entries
    where
        {{ in_window('received_date') }}
        and (
            entry_type = 'sale' or orders <> 0 or items <> 0 or discount <> 0 or tax <> 0 or shipping <> 0
            or revenue <> 0 or refunded_revenue <> 0 or revenue_order_currency <> 0 or refunded_order_currency <> 0
        )

)

select * from final
