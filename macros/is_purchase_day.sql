{# Purpose: does a customer's day count as a purchase in the purchase models? A day on which nothing is left of what was
   paid does not; a day with nothing but free orders does, as in the published figures for CDNOW.
   Usage: over one customer's entries summed by event_date, with orders, revenue and net_revenue. Output: a condition. #}
{% macro is_purchase_day() -%}
    (orders > 0 and (net_revenue > 0 or revenue = 0))
{%- endmacro %}
