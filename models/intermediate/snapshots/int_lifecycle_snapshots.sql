-- The lifecycle stage of each customer: the matching rule with the lowest priority number. A blank matches anything.
with customers as (

    select
        snapshot_date,
        customer_id,
        is_known,
        orders,
        coalesce(days_since_last_order, -1) as days_since_last_order,
        coalesce(days_between_last_orders, -1) as days_between_last_orders,
        coalesce({{ dbt.datediff('first_order_date', 'snapshot_date', 'day') }}, -1) as days_since_first_order
    from {{ ref('int_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

rules as (

    select * from {{ ref('lifecycle_stages') }}

),

-- Customers are few in kind: each kind is matched once.
kinds as (

    select distinct
        is_known,
        orders,
        days_since_last_order,
        days_between_last_orders,
        days_since_first_order
    from customers

),

matched as (

    select
        kinds.*,
        rules.lifecycle_stage
    from kinds
    inner join rules
        on
            (rules.is_known is null or rules.is_known = kinds.is_known)
            and kinds.orders >= coalesce(rules.orders_from, kinds.orders)
            and kinds.orders <= coalesce(rules.orders_to, kinds.orders)
            and kinds.days_since_first_order <= coalesce(rules.days_since_first_order_to, kinds.days_since_first_order)
            and kinds.days_since_last_order >= coalesce(rules.days_since_last_order_from, kinds.days_since_last_order)
            and kinds.days_since_last_order <= coalesce(rules.days_since_last_order_to, kinds.days_since_last_order)
            and kinds.days_between_last_orders
            >= coalesce(rules.days_between_last_orders_from, kinds.days_between_last_orders)
    qualify
        row_number() over (
            partition by
                kinds.is_known, kinds.orders, kinds.days_since_last_order, kinds.days_between_last_orders,
                kinds.days_since_first_order
            order by rules.priority nulls last
        ) = 1

),

final as (

    select
        customers.snapshot_date,
        customers.customer_id,
        matched.lifecycle_stage
    from customers
    left join matched
        on
            customers.is_known = matched.is_known
            and customers.orders = matched.orders
            and customers.days_since_last_order = matched.days_since_last_order
            and customers.days_between_last_orders = matched.days_between_last_orders
            and customers.days_since_first_order = matched.days_since_first_order

)

select * from final
