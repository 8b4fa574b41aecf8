-- In what situation a customer orders, as attributes: unknown where there are too few orders
-- (seeds/rules/thresholds.csv).
{% set banded = {'urgency': 'measured.urgent_share', 'order_size': 'measured.items_per_order'} -%}
with habits as (

    select * from {{ ref('int_order_habit_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

measured as (

    select
        snapshot_date,
        customer_id,
        top_use_case,
        case
            when timed_orders >= {{ threshold('urgency', 'min_orders') }}
                then {{ share('urgent_orders', 'timed_orders') }}
        end as urgent_share,
        {{ share('items', 'orders') }} as items_per_order
    from habits

),

final as (

    select
        measured.snapshot_date,
        measured.customer_id,
        coalesce(measured.top_use_case, 'unknown') as use_case,
        {% for attribute in banded -%}
        coalesce({{ attribute }}_bands.band, 'unknown') as {{ attribute }},
        {% endfor -%}
        measured.urgent_share,
        measured.items_per_order
    from measured
    {{- join_bands(banded) }}

)

select * from final
