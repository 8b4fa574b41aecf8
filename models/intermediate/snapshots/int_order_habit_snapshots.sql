-- How a customer orders, by the orders of the last 365 days as they stood on the snapshot date: a state of an order
-- holds from its posting date until the next one replaces it. Pickup and purchases in a store are not delivered.
{% set measures = [
    'orders', 'items', 'discounted_orders', 'channel_orders', 'in_store_orders', 'delivered_orders', 'fast_orders',
    'timed_orders', 'urgent_orders',
] -%}
with snapshot_dates as (

    select
        snapshot_date,
        cast({{ dbt.dateadd('day', -365, 'snapshot_date') }} as date) as day_365d
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

sale_states as (

    select
        *,
        lead(received_date) over (partition by order_id order by received_date nulls last) as next_received_date
    from {{ ref('int_sale_states') }}

),

deliveries as (

    select * from {{ ref('value_groups') }}
    where attribute = 'delivery'

),

described as (

    select
        sale_states.*,
        case
            when sale_states.sales_channel = 'in_store' then 'pickup'
            else deliveries.value_group
        end as delivery,
        coalesce(sale_states.coupon is not null or {{ share(
            'sale_states.discount_order_currency',
            'sale_states.revenue_order_currency + sale_states.discount_order_currency',
        ) }} >= {{ threshold('price_sensitivity', 'min_discount_share') }}, false) as is_discounted,
        {{ dbt.datediff('sale_states.order_date', 'sale_states.requested_delivery_date', 'day') }} as delivery_days
    from sale_states
    left join deliveries on sale_states.shipping_method = lower(deliveries.value)
    where sale_states.actor_id is not null and not sale_states.is_cancelled

),

states as (

    select
        received_date,
        next_received_date,
        order_date,
        is_user,
        actor_id,
        use_case,
        1 as orders,
        items,
        case when is_discounted then 1 else 0 end as discounted_orders,
        case when sales_channel in ('online', 'in_store') then 1 else 0 end as channel_orders,
        case when sales_channel = 'in_store' then 1 else 0 end as in_store_orders,
        case when delivery <> 'pickup' then 1 else 0 end as delivered_orders,
        case when delivery = 'fast' then 1 else 0 end as fast_orders,
        case
            when coalesce(delivery, '') <> 'pickup' and (delivery is not null or delivery_days is not null) then 1
            else 0
        end as timed_orders,
        case
            when coalesce(delivery, '') = 'pickup' then 0
            when delivery = 'fast' or delivery_days <= {{ threshold('urgency', 'max_delivery_days') }} then 1
            else 0
        end as urgent_orders
    from described

),

{{ customers_of(
    'states',
    ['order_date', 'use_case'] + measures,
    'states.order_date > snapshot_dates.day_365d and '
    ~ '(states.next_received_date is null or states.next_received_date > snapshot_dates.snapshot_date)',
) }},

use_cases as (

    select
        snapshot_date,
        customer_id,
        use_case,
        {% for measure in measures -%}
        sum({{ measure }}) as {{ measure }},
        {% endfor -%}
        max(order_date) as last_order_date
    from states_of_customers
    group by snapshot_date, customer_id, use_case

),

final as (

    select
        snapshot_date,
        customer_id,
        {% for measure in measures -%}
        cast(sum({{ measure }}) as {{ 'decimal(18, 3)' if measure == 'items' else 'bigint' }}) as {{ measure }},
        {% endfor -%}
        max_by(
            use_case,
            {{ struct({'orders': 'orders', 'last_order_date': 'last_order_date', 'use_case': 'use_case'}) }}
        ) filter (where use_case is not null) as top_use_case
    from use_cases
    group by snapshot_date, customer_id

)

select * from final
