-- The segment of every cell: of customers who are alike in all that the layers of their base look at.
{% set values = [] -%}
{% for layer in layer_numbers() %}{% do values.append('value_' ~ layer) %}{% endfor -%}
with counted_cells as (

    select * from {{ ref('micro_cells') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

bases as (

    select * from {{ ref('micro_bases') }}
    where base is not null and snapshot_date in ({{ snapshots_to_build() }})

),

splits as (

    select * from {{ ref('micro_splits') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

nodes as (

    select * from {{ ref('micro_nodes') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

cells as (

    select
        bases.snapshot_date as rules_date,
        bases.base_id,
        counted_cells.{{ values | join(', counted_cells.') }},
        sum(counted_cells.customers) as customers
    from counted_cells
    inner join bases
        on
            counted_cells.snapshot_date = bases.snapshot_date
            and counted_cells.macro_segment = bases.macro_segment
            and counted_cells.layer_set = bases.layer_set
    group by bases.snapshot_date, bases.base_id, counted_cells.{{ values | join(', counted_cells.') }}

),

{{ walk_tree('cells', 'walked') }},

final as (

    select
        nodes.snapshot_date,
        nodes.macro_segment,
        walked.{{ values | join(', walked.') }},
        cast(walked.customers as bigint) as customers,
        walked.micro_segment_id,
        nodes.micro_segment,
        nodes.rule,
        nodes.rule_sql,
        nodes.is_remainder
    from walked
    inner join nodes on walked.rules_date = nodes.snapshot_date and walked.micro_segment_id = nodes.node_id

)

select * from final
