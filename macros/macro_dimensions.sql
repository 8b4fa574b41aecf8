{# Purpose: the attributes that macro-segments are drawn by: columns of seeds/rules/macro_segment_rules.csv.
   Output: a list of names. #}
{% macro macro_dimensions() -%}
    {{ return([
        'customer_type', 'region', 'country', 'age_band', 'industry', 'company_size_band', 'life_stage', 'income_band',
        'urbanicity',
    ]) }}
{%- endmacro %}
