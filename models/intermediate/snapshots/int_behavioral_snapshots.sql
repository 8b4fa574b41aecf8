-- How a buyer buys, as attributes: unknown where there are too few observations (seeds/rules/thresholds.csv).
{% set banded = {
    'orders_band': 'measured.orders',
    'frequency_band': 'measured.orders_365d',
    'seasonality': 'measured.top_quarter_share',
    'returner': 'measured.refund_share',
    'repurchaser': 'measured.repeat_share',
    'channel_preference': 'measured.in_store_share',
} -%}
{% set ranked = {'order_value_band': 'measured.order_value_share', 'revenue_band': 'measured.revenue_share'} -%}
with orders as (

    select
        *,
        greatest(orders_q1_365d, orders_q2_365d, orders_q3_365d, orders_q4_365d) as top_quarter_orders
    from {{ ref('int_order_snapshots') }}
    where is_buyer and snapshot_date in ({{ snapshots_to_build() }})

),

habits as (

    select * from {{ ref('int_order_habit_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

tastes as (

    select * from {{ ref('int_product_taste_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

-- Ranks are among buyers; equal buyers have equal ranks, so that no tie is cut in two.
measured as (

    select
        orders.snapshot_date,
        orders.customer_id,
        orders.orders,
        orders.orders_365d,
        case
            when
                orders.orders_365d >= {{ threshold('seasonality', 'min_orders') }}
                and {{ dbt.datediff('orders.first_order_date', 'orders.snapshot_date', 'day') }}
                >= {{ threshold('seasonality', 'min_days') }}
                then {{ share('orders.top_quarter_orders', 'orders.orders_365d') }}
        end as top_quarter_share,
        case
            {% for quarter in [1, 2, 3, 4] -%}
            when orders.orders_q{{ quarter }}_365d = orders.top_quarter_orders then 'Q{{ quarter }}'
            {% endfor %}
        end as top_quarter,
        case
            when orders.orders_365d >= {{ threshold('returner', 'min_orders') }}
                then {{ share('orders.revenue_365d - orders.net_revenue_365d', 'orders.revenue_365d') }}
        end as refund_share,
        case
            when tastes.lines >= {{ threshold('repurchaser', 'min_lines') }}
                then {{ share('tastes.repeat_lines', 'tastes.lines') }}
        end as repeat_share,
        case
            when habits.channel_orders >= {{ threshold('channel_preference', 'min_orders') }}
                then {{ share('habits.in_store_orders', 'habits.channel_orders') }}
        end as in_store_share,
        percent_rank() over (
            partition by orders.snapshot_date order by {{ share('orders.revenue', 'orders.orders') }} nulls first
        ) as order_value_share,
        percent_rank() over (
            partition by orders.snapshot_date order by orders.net_revenue_365d nulls first
        ) as revenue_share
    from orders
    {% for relation in ['habits', 'tastes'] -%}
    left join {{ relation }}
        on
            orders.snapshot_date = {{ relation }}.snapshot_date
            and orders.customer_id = {{ relation }}.customer_id
    {% endfor %}
),

final as (

    select
        measured.snapshot_date,
        measured.customer_id,
        {% for attribute in banded.keys() | list + ranked.keys() | list -%}
        coalesce({{ attribute }}_bands.band, 'unknown') as {{ attribute }},
        {% endfor -%}
        case when measured.top_quarter_share is not null then measured.top_quarter else 'unknown' end as top_quarter,
        measured.top_quarter_share,
        measured.refund_share,
        measured.repeat_share,
        measured.in_store_share
    from measured
    {{- join_bands(banded) }}
    {{- join_bands(ranked, 'quantile_bands') }}

)

select * from final
