{# Purpose: one number as a share of another, exact to four digits, so that it compares alike everywhere.
   Usage: share('refunded_revenue', 'revenue')
   Output: decimal(18, 4); null where either is null or the whole is zero. #}
{% macro share(part, whole) -%}
    cast(round(cast({{ part }} as double) / nullif(cast({{ whole }} as double), 0), 4) as decimal(18, 4))
{%- endmacro %}
