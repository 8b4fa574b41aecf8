{# Purpose: the attributes that layers may use and that marts show, one column each; seeds/rules/attributes.csv describes
   them. A test holds the two lists together.
   Output: a list of names. #}
{% macro attribute_columns() -%}
    {{ return([
        'customer_type', 'region', 'country', 'city', 'age_band', 'gender', 'industry', 'company_size_band',
        'lifecycle_stage', 'rfm_group', 'recency_score', 'frequency_score', 'monetary_score', 'ltv_tier',
        'acquisition_source',

        'buying_stage',
        'purchase_intent',
        'visits_band',
        'window_shopper',
        'cart_abandoner',
        'orders_band',
        'frequency_band',
        'order_value_band',
        'revenue_band',
        'seasonality',
        'top_quarter',
        'returner',
        'repurchaser',
        'channel_preference',

        'user_status',
        'activity_status',
        'top_category',
        'top_brand',
        'category_breadth',
        'long_tail_taste',

        'price_sensitivity',
        'quality_sensitivity',
        'delivery_sensitivity',
        'purchasing_frequency',

        'urgency',
        'order_size',
        'use_case',

        'growth_profile',
        'loyalty',
        'tenure_band',
    ]) }}
{%- endmacro %}
