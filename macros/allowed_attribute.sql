{# Purpose: the value of an attribute that the catalogue calls sensitive, only where the project allows that attribute by
   name. It is withheld here, before anything that segments, counts or publishes can read it.
   Usage: allowed_attribute('religion', 'traits.religion') as religion
   Output: the expression, or the value `unknown` for everybody. #}
{% macro allowed_attribute(attribute, expression) -%}
    {%- if attribute in var('sensitive_attributes_allowed') -%}
        coalesce({{ expression }}, 'unknown')
    {%- else -%}
        'unknown'
    {%- endif -%}
{%- endmacro %}
