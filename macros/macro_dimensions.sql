{# Purpose: the attributes that macro-segments are drawn by: columns of seeds/rules/macro_segment_rules.csv.
   Output: a list of names. #}
{% macro macro_dimensions() -%}
    {{ return([
        'customer_type', 'region', 'country', 'age_band', 'industry', 'company_size_band', 'life_stage', 'income_band',
        'urbanicity',
    ]) }}
{%- endmacro %}

{# Purpose: whether a rule of the macro-segments matches a customer: a blank in it matches anything.
   Usage: macro_rule_matches('rules', 'kinds') -- relations with the columns of macro_dimensions()
   Output: a condition. #}
{% macro macro_rule_matches(rules, customers) -%}
    {%- for dimension in macro_dimensions() -%}
    ({{ rules }}.{{ dimension }} is null or {{ rules }}.{{ dimension }} = {{ customers }}.{{ dimension }})
    {{- ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
