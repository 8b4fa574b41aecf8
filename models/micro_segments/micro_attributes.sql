-- Every attribute that a layer may split by, one column each, as of the snapshot date. Unknown is a value of its own;
-- what only buyers have is `none` for the others.
{% set stated = ['geographic', 'demographic', 'psychographic', 'firmographic', 'engagement'] -%}
with customers as (

    select
        snapshot_date,
        customer_id,
        is_buyer
    from {{ ref('int_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

{% for category in stated -%}
{{ category }} as (

    select * from {{ ref('int_' ~ category ~ '_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

{% endfor -%}
macro_segments as (

    select * from {{ ref('macro_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

stages as (

    select * from {{ ref('int_lifecycle_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

rfm as (

    select * from {{ ref('int_rfm_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

tiers as (

    select * from {{ ref('micro_ltv_tiers') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

acquisition as (

    select * from {{ ref('int_acquisition_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

{% for relation, model in [
    ('visiting', 'int_visit_behavior_snapshots'),
    ('buying', 'int_behavioral_snapshots'),
    ('usage', 'int_product_usage_snapshots'),
    ('purchasing', 'int_purchasing_snapshots'),
    ('situations', 'int_situational_snapshots'),
    ('worth', 'int_value_snapshots'),
] -%}
{{ relation }} as (

    select * from {{ ref(model) }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

{% endfor -%}
final as (

    select
        customers.snapshot_date,
        customers.customer_id,
        macro_segments.macro_segment,
        {% for category in stated -%}
        {% for attribute in attribute_columns(category) -%}
        {{ category }}.{{ attribute }},
        {% endfor -%}
        {% endfor -%}
        coalesce(stages.lifecycle_stage, 'unknown') as lifecycle_stage,
        {% for attribute in ['rfm_group', 'recency_score', 'frequency_score', 'monetary_score'] -%}
        coalesce(rfm.{{ attribute }}, 'none') as {{ attribute }},
        {% endfor -%}
        coalesce(tiers.ltv_tier, 'none') as ltv_tier,
        coalesce(acquisition.acquisition_source, 'unknown') as acquisition_source,
        {% for attribute in [
            'buying_stage',
            'purchase_intent',
            'visits_band',
            'window_shopper',
            'cart_abandoner',
        ] -%}
        coalesce(visiting.{{ attribute }}, 'unknown') as {{ attribute }},
        {% endfor -%}
        {% for attribute in ['orders_band', 'frequency_band', 'order_value_band', 'revenue_band'] -%}
        coalesce(buying.{{ attribute }}, 'none') as {{ attribute }},
        {% endfor -%}
        {% for attribute in ['seasonality', 'top_quarter', 'returner', 'repurchaser', 'channel_preference'] -%}
        coalesce(buying.{{ attribute }}, 'unknown') as {{ attribute }},
        {% endfor -%}
        {% for attribute in [
            'user_status',
            'activity_status',
            'top_category',
            'top_brand',
            'category_breadth',
            'long_tail_taste',
        ] -%}
        coalesce(usage.{{ attribute }}, 'unknown') as {{ attribute }},
        {% endfor -%}
        {% for attribute in [
            'price_sensitivity', 'quality_sensitivity', 'delivery_sensitivity', 'purchasing_frequency',
        ] -%}
        coalesce(purchasing.{{ attribute }}, 'unknown') as {{ attribute }},
        {% endfor -%}
        {% for attribute in ['urgency', 'order_size', 'use_case'] -%}
        coalesce(situations.{{ attribute }}, 'unknown') as {{ attribute }},
        {% endfor -%}
        {% for attribute in ['growth_profile', 'loyalty'] -%}
        coalesce(worth.{{ attribute }}, 'unknown') as {{ attribute }},
        {% endfor -%}
        coalesce(worth.tenure_band, 'none') as tenure_band
    from customers
    {% for relation in stated + ['macro_segments'] -%}
    inner join {{ relation }}
        on
            customers.snapshot_date = {{ relation }}.snapshot_date
            and customers.customer_id = {{ relation }}.customer_id
    {% endfor -%}
    {% for relation in [
        'stages', 'rfm', 'tiers', 'acquisition', 'visiting', 'buying', 'usage', 'purchasing', 'situations', 'worth',
    ] -%}
    left join {{ relation }}
        on
            customers.snapshot_date = {{ relation }}.snapshot_date
            and customers.customer_id = {{ relation }}.customer_id
    {% endfor %}
)

select * from final
