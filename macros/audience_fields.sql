{# Purpose: the numbers of a customer that a step of an audience may look at, one column each; a test holds them and
   seeds/reference/audience_fields.csv together.
   Output: a list of names. #}
{% macro audience_numbers() -%}
    {{ return([
        'age', 'orders', 'orders_90d', 'orders_365d', 'revenue', 'net_revenue', 'net_revenue_90d', 'net_revenue_365d',
        'days_since_last_order', 'average_days_between_orders', 'sessions_90d', 'page_views_90d', 'product_views_90d',
        'searches_90d', 'cart_adds_90d', 'checkouts_90d', 'emails_delivered_90d', 'emails_opened_90d',
        'emails_clicked_90d', 'probability_alive', 'expected_orders_365d', 'historic_ltv', 'predicted_ltv_90d',
        'predicted_ltv_180d', 'predicted_ltv_365d', 'predicted_ltv_1095d',
    ]) }}
{%- endmacro %}

{# Purpose: how deep audiences may refer to each other: one of level 0 refers to none, one of level 3 to one of level 2
   at most. A test, and the check before a refresh, refuse more.
   Output: a list of numbers. #}
{% macro audience_levels() -%}
    {{ return([0, 1, 2, 3]) }}
{%- endmacro %}
