{# Purpose: the attributes that layers may use and that marts show, one column each; seeds/rules/attributes.csv describes
   them. A test holds the two lists together.
   Usage: attribute_columns() for all, attribute_columns('geographic') for those of one category
   Output: a list of names. #}
{% macro attribute_columns(category=none) -%}
    {%- set columns = {
        'geographic': [
            'country',
            'region',
            'state',
            'city',
            'district',
            'postal_code',
            'climate_zone',
            'terrain',
            'urbanicity',
            'store_format',
        ],
        'demographic': [
            'age_band',
            'gender',
            'income_band',
            'education',
            'occupation',
            'employment_status',
            'employer',
            'marital_status',
            'life_stage',
            'household_size',
            'children',
            'home_ownership',
            'nationality',
            'religion',
        ],
        'psychographic': [
            'lifestyle',
            'lifestyle_basis',
            'main_interest',
            'main_interest_basis',
            'interests',
            'personal_values',
            'personality',
            'style',
        ],
        'firmographic': [
            'customer_type',
            'industry',
            'company_size_band',
            'company_country',
            'company_city',
            'buying_structure',
            'plan',
            'plan_period',
        ],
        'engagement': [
            'email_engagement',
            'push_engagement',
            'social_networks',
            'nps_group',
            'survey_answer',
        ],
        'behavioral': [
            'lifecycle_stage',
            'rfm_group',
            'recency_score',
            'frequency_score',
            'monetary_score',
            'acquisition_source',
        ],
        'value': [
            'ltv_tier',
        ],
    } -%}
    {{ return(columns[category] if category else columns.values() | sum(start=[])) }}
{%- endmacro %}
