-- Each customer's micro-segment on each snapshot date.
with layer_values as (

    select * from {{ ref('micro_layer_values') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

bases as (

    select * from {{ ref('micro_bases') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

tree as (

    select * from {{ ref('micro_tree') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

final as (

    select
        layer_values.snapshot_date,
        layer_values.customer_id,
        tree.macro_segment,
        tree.micro_segment_id,
        tree.micro_segment
    from layer_values
    inner join bases
        on
            layer_values.snapshot_date = bases.snapshot_date
            and layer_values.macro_segment = bases.macro_segment
            and layer_values.layer_set = bases.layer_set
    inner join tree
        on
            layer_values.snapshot_date = tree.snapshot_date
            and bases.base = tree.macro_segment
            {%- for layer in layer_numbers() %}
            and layer_values.value_{{ layer }} = tree.value_{{ layer }}
            {%- endfor %}

)

select * from final
