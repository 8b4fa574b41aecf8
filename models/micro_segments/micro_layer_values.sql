-- What each layer sees of a customer: the value of the attribute that it splits by. A macro-segment is shown as itself,
-- with the others that are too small or with everybody, as sizes have it on a day; its customers have a row for each
-- set of layers that they may meet, mostly one.
{% set layers = layer_numbers() -%}
with attributes as (

    select * from {{ ref('micro_attributes') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

layers_of_sets as (

    select
        {% for layer in layers -%}
        max(case when layer = {{ layer }} then attribute end) as attribute_{{ layer }},
        {% endfor -%}
        layer_set
    from {{ ref('micro_layers') }}
    group by layer_set

),

bases as (

    select distinct
        macro_segment,
        macro_segment as base
    from attributes
    union all
    select distinct
        macro_segment,
        'Other customers' as base
    from attributes
    union all
    select distinct
        macro_segment,
        'All customers' as base
    from attributes

),

sets as (

    select distinct
        bases.macro_segment,
        coalesce(layers_of_sets.layer_set, '*') as layer_set
    from bases
    left join layers_of_sets on bases.base = layers_of_sets.layer_set

),

final as (

    select
        attributes.snapshot_date,
        attributes.customer_id,
        attributes.macro_segment,
        {% for layer in layers -%}
        case layers_of_sets.attribute_{{ layer }}
            {%- for attribute in attribute_columns() %}
            when '{{ attribute }}' then attributes.{{ attribute }}
            {%- endfor %}
            else ''
        end as value_{{ layer }},
        {% endfor -%}
        sets.layer_set
    from attributes
    inner join sets on attributes.macro_segment = sets.macro_segment
    left join layers_of_sets on sets.layer_set = layers_of_sets.layer_set

)

select * from final
