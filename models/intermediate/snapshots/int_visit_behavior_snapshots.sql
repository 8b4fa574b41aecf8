-- How a customer visits, as attributes: unknown of a customer who was never seen visiting.
with customers as (

    select * from {{ ref('int_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

activity as (

    select * from {{ ref('int_activity_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

visitors as (

    select * from {{ ref('int_acquisition_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

measured as (

    select
        customers.snapshot_date,
        customers.customer_id,
        visitors.customer_id is not null as is_visitor,
        case when visitors.customer_id is not null then customers.sessions_90d end as sessions_90d,
        customers.product_views_90d,
        customers.orders_90d,
        customers.days_since_last_order,
        {% for step in ['visit', 'product_view', 'cart_add', 'checkout'] -%}
        {{ dbt.datediff('activity.last_' ~ step ~ '_date', 'customers.snapshot_date', 'day') }}
            as days_since_last_{{ step }},
        {% endfor -%}
        coalesce(activity.product_views_30d, 0) * {{ threshold('purchase_intent', 'points_per_product_view') }}
        + coalesce(activity.cart_adds_30d, 0) * {{ threshold('purchase_intent', 'points_per_cart_add') }}
        + coalesce(activity.checkouts_30d, 0) * {{ threshold('purchase_intent', 'points_per_checkout') }} as points
    from customers
    {% for relation in ['activity', 'visitors'] -%}
    left join {{ relation }}
        on
            customers.snapshot_date = {{ relation }}.snapshot_date
            and customers.customer_id = {{ relation }}.customer_id
    {% endfor %}
),

-- Who has ordered since has got what was looked at.
judged as (

    select
        *,
        case
            when not is_visitor then null
            when
                days_since_last_order
                <= least(days_since_last_product_view, days_since_last_cart_add, days_since_last_checkout)
                then 0
            else points
        end as intent_points,
        days_since_last_cart_add >= {{ threshold('cart_abandoner', 'min_days') }}
        and days_since_last_cart_add < {{ threshold('cart_abandoner', 'within_days') }}
        and coalesce(days_since_last_order > days_since_last_cart_add, true) as has_abandoned_cart,
        product_views_90d >= {{ threshold('window_shopper', 'min_product_views') }}
        and orders_90d = 0 as is_window_shopper,
        {{ threshold('buying_stage', 'within_days') }} as stage_days
    from measured

),

final as (

    select
        judged.snapshot_date,
        judged.customer_id,
        judged.intent_points,
        case
            when judged.days_since_last_order < judged.stage_days then 'bought'
            when judged.days_since_last_checkout < judged.stage_days then 'checkout'
            when least(judged.days_since_last_cart_add, judged.days_since_last_product_view) < judged.stage_days
                then 'considering'
            when judged.days_since_last_visit < judged.stage_days then 'browsing'
            when judged.is_visitor then 'away'
            else 'unknown'
        end as buying_stage,
        coalesce(purchase_intent_bands.band, 'unknown') as purchase_intent,
        coalesce(visits_band_bands.band, 'unknown') as visits_band,
        case
            when not judged.is_visitor then 'unknown'
            when judged.is_window_shopper then 'window-shoppers'
            else 'no window-shoppers'
        end as window_shopper,
        case
            when not judged.is_visitor then 'unknown'
            when judged.has_abandoned_cart then 'cart abandoners'
            else 'no cart abandoners'
        end as cart_abandoner
    from judged
    {{- join_bands({
        'purchase_intent': 'judged.intent_points',
        'visits_band': 'judged.sessions_90d',
    }) }}

)

select * from final
