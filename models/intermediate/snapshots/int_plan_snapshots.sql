-- The plan that a customer is on, as known on the snapshot date. Of traits the latest holds; a subscription runs until
-- it is cancelled, and others may run beside it. Of all that run the one that was last heard of counts.
{% set said_at = struct({'event_at': 'event_at', 'message_id': 'message_id'}) -%}
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

plan_messages as (

    select * from {{ ref('stg_plan_messages') }}

),

{{ customers_of('plan_messages', [
    'message_id', 'event_at', 'is_subscription', 'is_running', 'plan', 'plan_period',
]) }},

-- What an earlier trait said is over.
valid as (

    select *
    from plan_messages_of_customers
    qualify
        is_subscription
        or row_number() over (
            partition by snapshot_date, customer_id, is_subscription
            order by event_at desc nulls last, message_id desc nulls last
        ) = 1

),

plans as (

    select
        snapshot_date,
        customer_id,
        plan,
        max({{ said_at }}) as last_said_at,
        max_by(is_running, {{ said_at }}) as is_running,
        -- A trait knows of no period: it leaves that of the subscription.
        max_by(
            case when is_running then coalesce(plan_period, 'unknown') else 'unknown' end, {{ said_at }}
        ) filter (where is_subscription) as plan_period
    from valid
    group by snapshot_date, customer_id, plan

),

final as (

    select
        snapshot_date,
        customer_id,
        case when is_running then coalesce(plan, 'unknown') else 'none' end as plan,
        case when is_running then coalesce(plan_period, 'unknown') else 'none' end as plan_period
    from plans
    qualify
        row_number() over (
            partition by snapshot_date, customer_id
            order by is_running desc nulls last, last_said_at desc nulls last
        ) = 1

)

select * from final
