-- Religion, health and the like draw no segment or audience and reach no mart unless the project names them in the
-- variable sensitive_attributes_allowed.
{% set allowed = "'" ~ var('sensitive_attributes_allowed') | join("', '") ~ "'" -%}
with used as (

    select attribute
    from {{ ref('micro_segment_layers') }}
    union
    select field as attribute
    from {{ ref('audience_rules') }}
    where kind = 'attribute'
    {% for attribute in attribute_columns() -%}
    union
    select '{{ attribute }}' as attribute
    {% endfor %}
)

select attributes.attribute
from {{ ref('attributes') }} as attributes
semi join used on attributes.attribute = used.attribute
where attributes.is_sensitive and attributes.attribute not in ({{ allowed }})
