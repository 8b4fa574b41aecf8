{# Purpose: the attributes that layers may use and that marts show, one column each; seeds/rules/attributes.csv describes
   them. A test holds the two lists together.
   Output: a list of names. #}
{% macro attribute_columns() -%}
    {{ return([
        'customer_type', 'region', 'country', 'city', 'age_band', 'gender', 'industry', 'company_size_band',
        'lifecycle_stage', 'rfm_group', 'recency_score', 'frequency_score', 'monetary_score', 'ltv_tier',
        'acquisition_source',
    ]) }}
{%- endmacro %}
