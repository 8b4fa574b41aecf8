-- A layer by an attribute that isn't there, or beyond the number that the tree grows to, would be passed over without a
-- word. The catalogue describes the attributes that there are, no more and no fewer.
with catalogue as (

    select * from {{ ref('attributes') }}

),

layers as (

    select * from {{ ref('micro_segment_layers') }}

),

columns_there as (

    {% for attribute in attribute_columns() -%}
    select '{{ attribute }}' as attribute
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    'no column of this name' as fault,
    catalogue.attribute
from catalogue
anti join columns_there on catalogue.attribute = columns_there.attribute
union all
select
    'not in the catalogue' as fault,
    columns_there.attribute
from columns_there
anti join catalogue on columns_there.attribute = catalogue.attribute
union all
select
    'layer by an unknown attribute' as fault,
    layers.attribute
from layers
anti join catalogue on layers.attribute = catalogue.attribute
where layers.layer > 0
union all
select
    'layer of an unknown macro-segment' as fault,
    layers.macro_segment as attribute
from layers
anti join {{ ref('macro_segment_rules') }} as rules on layers.macro_segment = rules.macro_segment
where layers.macro_segment not in ('*', 'Other customers', 'All customers')
union all
select
    'layer number or minimum out of range' as fault,
    attribute
from layers
where
    layer < 0
    or (layer = 0 and (macro_segment <> '*' or attribute <> 'macro_segment'))
    or min_customers < 1
union all
select
    'more layers than the tree grows to' as fault,
    macro_segment as attribute
from layers
where layer > 0
group by macro_segment
having count(*) > {{ layer_numbers() | length }}
union all
select
    'no layer 0 of *' as fault,
    'macro_segment' as attribute
from layers
having count_if(macro_segment = '*' and layer = 0) <> 1
