-- Each customer's micro-segment on each snapshot date.
with customers as (

    select * from {{ ref('micro_layer_values') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

tree as (

    select * from {{ ref('micro_tree') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

final as (

    select
        customers.snapshot_date,
        customers.customer_id,
        tree.macro_segment,
        tree.micro_segment_id,
        tree.micro_segment
    from customers
    inner join tree
        on
            customers.snapshot_date = tree.snapshot_date
            and customers.base = tree.macro_segment
            {%- for layer in layer_numbers() %}
            and customers.value_{{ layer }} = tree.value_{{ layer }}
            {%- endfor %}

)

select * from final
