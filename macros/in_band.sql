{# Purpose: whether a number, or a range that was stated, lies within one band of seeds/rules/bands.csv.
   Usage: left join bands on {{ in_band('bands', "'age_band'", 'ages.age_from', 'ages.age_to') }}
   Output: a condition. A range that spans bands is in none; one without an upper end is where it begins. #}
{% macro in_band(bands, attribute, from_value, to_value) -%}
    {{ bands }}.attribute = {{ attribute }}
    and {{ from_value }} >= {{ bands }}.from_value
    and {{ from_value }} < {{ bands }}.below_value
    and ({{ to_value }} is null or {{ to_value }} < {{ bands }}.below_value)
{%- endmacro %}
