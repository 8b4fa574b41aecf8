-- Religion and the like, and what may point to a person, draw no segment or audience and reach no mart unless the
-- project names them in the variable sensitive_attributes_allowed: a rule by one is refused, and its column is empty.
{% set allowed = "'" ~ var('sensitive_attributes_allowed') | join("', '") ~ "'" -%}
with forbidden as (

    select attribute
    from {{ ref('attributes') }}
    where is_sensitive and attribute not in ({{ allowed }})

),

layers as (

    select * from {{ ref('micro_segment_layers') }}

),

customers as (

    select * from {{ ref('customers') }}

),

shown as (

    select
        forbidden.attribute,
        customers.customer_id,
        case forbidden.attribute
            {% for attribute in attribute_columns() -%}
            when '{{ attribute }}' then customers.{{ attribute }}
            {% endfor %}
        end as value
    from customers
    cross join forbidden

)

select
    'layer' as place,
    layers.macro_segment as detail,
    layers.attribute
from layers
semi join forbidden on layers.attribute = forbidden.attribute
union all
select
    'audience' as place,
    rules.audience_id as detail,
    rules.field as attribute
from {{ ref('audience_rules') }} as rules
semi join forbidden on rules.field = forbidden.attribute
where rules.kind = 'attribute'
union all
select
    'customers' as place,
    customer_id as detail,
    attribute
from shown
where value <> 'unknown'
