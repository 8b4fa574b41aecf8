-- Which categories a customer buys and looks at, as known on the snapshot date: order lines of the last 365 days,
-- views, carts and wish lists of the last 90. A category is the product's in the reference table, else the message's.
{% set bought = ['lines', 'quantity', 'revenue', 'net_revenue'] -%}
{% set shown = ['product_views', 'cart_adds', 'wishlist_adds'] -%}
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

products as (

    select * from {{ ref('stg_products') }}

),

{% for name, facts, measures, days in [
    ('lines', 'int_order_line_entries', bought, 365), ('interest', 'int_product_interest_days', shown, 90),
] -%}
{{ name }} as (

    select
        facts.received_date,
        facts.event_date,
        facts.is_user,
        facts.actor_id,
        {% for measure in measures -%}
        facts.{{ measure }},
        {% endfor -%}
        coalesce(products.category, {{ blank_to_null('facts.category') }}) as category
    from {{ ref(facts) }} as facts
    left join products on facts.product_id = products.product_id
    where facts.actor_id is not null

),

{{ summed_for_snapshots(name, ['is_user', 'actor_id', 'category'], measures, days) }},

{% endfor -%}
activity as (

    {% for name, measures in [('lines', bought), ('interest', shown)] -%}
    select
        received_date,
        last_snapshot_date,
        is_user,
        actor_id,
        {% for measure in bought + shown -%}
        {{ measure if measure in measures else '0 as ' ~ measure }},
        {% endfor -%}
        category
    from {{ name }}_summed
    where category is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

{{ customers_of(
    'activity', ['category'] + bought + shown, 'activity.last_snapshot_date >= snapshot_dates.snapshot_date'
) }},

categories as (

    select
        snapshot_date,
        customer_id,
        {% for measure in bought + shown -%}
        sum({{ measure }}) as {{ measure }},
        {% endfor -%}
        category
    from activity_of_customers
    group by snapshot_date, customer_id, category

),

usual as (

    select
        snapshot_date,
        category,
        {{ share('sum(revenue)', 'sum(quantity)') }} as price
    from categories
    group by snapshot_date, category

),

weighted as (

    select
        categories.*,
        cast(round(cast(categories.quantity as double) * usual.price, 2) as decimal(18, 2)) as usual_revenue,
        categories.lines * {{ threshold('inferred_interest', 'points_per_order_line') }}
        + categories.cart_adds * {{ threshold('inferred_interest', 'points_per_cart_add') }}
        + categories.wishlist_adds * {{ threshold('inferred_interest', 'points_per_wishlist_add') }}
        + categories.product_views * {{ threshold('inferred_interest', 'points_per_product_view') }} as points
    from categories
    inner join usual on categories.snapshot_date = usual.snapshot_date and categories.category = usual.category

),

final as (

    select
        snapshot_date,
        customer_id,
        cast(sum(lines) as bigint) as lines,
        count_if(lines > 0) as categories,
        cast(sum(revenue) as decimal(18, 2)) as revenue,
        cast(sum(usual_revenue) as decimal(18, 2)) as usual_revenue,
        max_by(
            category, {{ struct({'net_revenue': 'net_revenue', 'lines': 'lines', 'category': 'category'}) }}
        ) filter (where lines > 0) as top_category,
        cast(sum(lines + product_views + cart_adds + wishlist_adds) as bigint) as interest_observations,
        max_by(
            category, {{ struct({'points': 'points', 'category': 'category'}) }}
        ) filter (where points > 0) as inferred_interest
    from weighted
    group by snapshot_date, customer_id

)

select * from final
