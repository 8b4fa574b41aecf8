-- Everything about a customer that orders tell, as known on the snapshot date. Purchase days as the purchase models
-- want them: same customer and business day is one purchase, refunds netted in.
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

entries as (

    select * from {{ ref('int_order_entries') }}
    where actor_id is not null

),

{{ customers_of('entries', ['event_date', 'orders', 'revenue', 'net_revenue']) }},

days as (

    select
        snapshot_date,
        customer_id,
        event_date,
        cast(sum(orders) as bigint) as orders,
        cast(sum(revenue) as decimal(18, 2)) as revenue,
        cast(sum(net_revenue) as decimal(18, 2)) as net_revenue
    from entries_of_customers
    group by snapshot_date, customer_id, event_date

),

purchases as (

    select
        *,
        {{ is_purchase_day() }} as is_purchase
    from days

),

numbered as (

    select
        *,
        {{ dbt.datediff('event_date', 'snapshot_date', 'day') }} as days_ago,
        min(case when is_purchase then event_date end) over (
            partition by snapshot_date, customer_id
        ) as first_purchase_date,
        max(case when orders > 0 then event_date end) over (
            partition by snapshot_date, customer_id
        ) as last_order_date
    from purchases

),

final as (

    select
        snapshot_date,
        customer_id,
        sum(orders) > 0 as is_buyer,
        min(case when orders > 0 then event_date end) as first_order_date,
        max(last_order_date) as last_order_date,
        cast({{ dbt.datediff(
            'max(case when orders > 0 and event_date < last_order_date then event_date end)',
            'max(last_order_date)', 'day',
        ) }} as integer) as days_between_last_orders,
        cast(sum(orders) as bigint) as orders,
        cast(sum(revenue) as decimal(18, 2)) as revenue,
        cast(sum(net_revenue) as decimal(18, 2)) as net_revenue,
        cast(coalesce(sum(case when days_ago < 90 then orders end), 0) as bigint) as orders_90d,
        cast(coalesce(sum(case when days_ago < 90 then net_revenue end), 0) as decimal(18, 2)) as net_revenue_90d,
        cast(coalesce(sum(case when days_ago < 180 then net_revenue end), 0) as decimal(18, 2)) as net_revenue_180d,
        cast(coalesce(sum(case when days_ago between 180 and 359 then net_revenue end), 0) as decimal(18, 2))
            as net_revenue_previous_180d,
        cast(coalesce(sum(case when days_ago < 365 then orders end), 0) as bigint) as orders_365d,
        {% for quarter in [1, 2, 3, 4] -%}
        cast(coalesce(sum(case
            when days_ago < 365 and extract(quarter from event_date) = {{ quarter }} then orders
        end), 0) as bigint) as orders_q{{ quarter }}_365d,
        {% endfor -%}
        count(distinct case when orders > 0 and days_ago < 360 then floor(days_ago / 30) end) as order_months,
        cast(coalesce(sum(case when days_ago < 365 then revenue end), 0) as decimal(18, 2)) as revenue_365d,
        cast(coalesce(sum(case when days_ago < 365 then net_revenue end), 0) as decimal(18, 2)) as net_revenue_365d,
        cast(coalesce(sum(case
            when event_date >= {{ dbt.date_trunc('month', 'snapshot_date') }} then orders
        end), 0) as bigint) as orders_mtd,
        cast(coalesce(sum(case
            when event_date >= {{ dbt.date_trunc('month', 'snapshot_date') }} then net_revenue
        end), 0) as decimal(18, 2)) as net_revenue_mtd,
        cast(min(case when orders > 0 then days_ago end) as integer) as days_since_last_order,
        cast(nullif(count(case when is_purchase then 1 end), 0) - 1 as bigint) as frequency,
        cast(max(case
            when is_purchase then {{ dbt.datediff('first_purchase_date', 'event_date', 'day') }}
        end) as bigint) as recency_days,
        cast(max(case when event_date = first_purchase_date then days_ago end) as bigint) as age_days,
        cast(sum(case when is_purchase and event_date > first_purchase_date then net_revenue end) as decimal(18, 2))
            as repeat_spend
    from numbered
    group by snapshot_date, customer_id

)

select * from final
