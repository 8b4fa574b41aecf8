-- What a buyer minds when buying, as attributes, each with the number of observations behind it: unknown below a
-- minimum (seeds/rules/thresholds.csv).
{% set banded = {
    'price_sensitivity': 'measured.discounted_share',
    'quality_sensitivity': 'measured.price_ratio',
    'delivery_sensitivity': 'measured.fast_share',
    'purchasing_frequency': 'measured.average_days_between_orders',
} -%}
with buyers as (

    select * from {{ ref('int_customer_snapshots') }}
    where is_buyer and snapshot_date in ({{ snapshots_to_build() }})

),

habits as (

    select * from {{ ref('int_order_habit_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

categories as (

    select * from {{ ref('int_category_taste_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

measured as (

    select
        buyers.snapshot_date,
        buyers.customer_id,
        coalesce(habits.orders, 0) as price_observations,
        coalesce(categories.lines, 0) as quality_observations,
        coalesce(habits.delivered_orders, 0) as delivery_observations,
        coalesce(buyers.frequency, 0) as frequency_observations,
        case
            when habits.orders >= {{ threshold('price_sensitivity', 'min_orders') }}
                then {{ share('habits.discounted_orders', 'habits.orders') }}
        end as discounted_share,
        case
            when categories.lines >= {{ threshold('quality_sensitivity', 'min_lines') }}
                then {{ share('categories.revenue', 'categories.usual_revenue') }}
        end as price_ratio,
        case
            when habits.delivered_orders >= {{ threshold('delivery_sensitivity', 'min_orders') }}
                then {{ share('habits.fast_orders', 'habits.delivered_orders') }}
        end as fast_share,
        case
            when buyers.frequency >= {{ threshold('purchasing_frequency', 'min_repeat_days') }}
                then cast(buyers.average_days_between_orders as decimal(18, 4))
        end as average_days_between_orders
    from buyers
    {% for relation in ['habits', 'categories'] -%}
    left join {{ relation }}
        on
            buyers.snapshot_date = {{ relation }}.snapshot_date
            and buyers.customer_id = {{ relation }}.customer_id
    {% endfor %}
),

final as (

    select
        measured.snapshot_date,
        measured.customer_id,
        {% for attribute in banded -%}
        coalesce({{ attribute }}_bands.band, 'unknown') as {{ attribute }},
        {% endfor -%}
        measured.price_observations,
        measured.quality_observations,
        measured.delivery_observations,
        measured.frequency_observations,
        measured.discounted_share,
        measured.price_ratio,
        measured.fast_share
    from measured
    {{- join_bands(banded) }}

)

select * from final
