-- What each layer sees of a customer: the value of the attribute that the layer splits the customer's base by.
with attributes as (

    select * from {{ ref('micro_attributes') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

bases as (

    select * from {{ ref('micro_bases') }}
    where base is not null and snapshot_date in ({{ snapshots_to_build() }})

),

layers as (

    select * from {{ ref('micro_base_layers') }}

),

final as (

    select
        attributes.snapshot_date,
        attributes.customer_id,
        {% for layer in layer_numbers() -%}
        case layer_{{ layer }}.attribute
            {%- for attribute in attribute_columns() %}
            when '{{ attribute }}' then attributes.{{ attribute }}
            {%- endfor %}
            else ''
        end as value_{{ layer }},
        {% endfor -%}
        bases.base
    from attributes
    inner join bases
        on attributes.snapshot_date = bases.snapshot_date and attributes.macro_segment = bases.macro_segment
    {%- for layer in layer_numbers() %}
    left join layers as layer_{{ layer }}
        on bases.base = layer_{{ layer }}.base and layer_{{ layer }}.layer = {{ layer }}
    {%- endfor %}

)

select * from final
