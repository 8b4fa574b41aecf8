{# Purpose: a number of seeds/rules/thresholds.csv. A test holds the seed and the models that read it together.
   Usage: where orders >= {{ threshold('seasonality', 'min_orders') }} -- both names written out, so that the test finds them
   Output: a scalar, double. #}
{% macro threshold(attribute, name) -%}
    (
        select max(thresholds.value)
        from {{ ref('thresholds') }} as thresholds
        where thresholds.attribute = '{{ attribute }}' and thresholds.threshold = '{{ name }}'
    )
{%- endmacro %}
