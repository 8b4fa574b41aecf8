-- The cells of each of two compared snapshots by the rules of the other: where the later one's customers would stand
-- had the rules stayed as they were, and where the earlier one's would by the rules of today.
{{ config(pre_hook="{{ drop_stale_pairs() }}") }}

{% set values = [] -%}
{% for layer in layer_numbers() %}{% do values.append('value_' ~ layer) %}{% endfor -%}
with pairs as (

    {{ pairs_to_build() }}

),

directions as (

    select
        *,
        snapshot_date as cells_date,
        previous_snapshot_date as rules_date
    from pairs
    union all
    select
        *,
        previous_snapshot_date as cells_date,
        snapshot_date as rules_date
    from pairs

),

counted_cells as (

    select * from {{ ref('micro_cells') }}

),

bases as (

    select * from {{ ref('micro_bases') }}
    where base is not null

),

splits as (

    select * from {{ ref('micro_splits') }}

),

layer_sets as (

    select distinct layer_set
    from {{ ref('micro_layers') }}

),

-- Where a macro-segment goes that the rules have not seen: with those that are too small.
bases_of_others as (

    select
        nodes.snapshot_date,
        nodes.node_id as base_id,
        coalesce(layer_sets.layer_set, '*') as layer_set
    from {{ ref('micro_nodes') }} as nodes
    left join layer_sets on nodes.macro_segment = layer_sets.layer_set
    where nodes.layer = 0 and (nodes.is_remainder or nodes.node_id = {{ dbt.hash("'all'") }})

),

cells as (

    select
        directions.*,
        counted_cells.macro_segment,
        counted_cells.layer_set,
        counted_cells.{{ values | join(', counted_cells.') }},
        coalesce(bases.base_id, bases_of_others.base_id) as base_id
    from directions
    inner join counted_cells on directions.cells_date = counted_cells.snapshot_date
    inner join bases_of_others on directions.rules_date = bases_of_others.snapshot_date
    left join bases
        on directions.rules_date = bases.snapshot_date and counted_cells.macro_segment = bases.macro_segment
    where counted_cells.layer_set = coalesce(bases.layer_set, bases_of_others.layer_set)

),

{{ walk_tree('cells', 'walked') }},

final as (

    select
        previous_snapshot_date,
        snapshot_date,
        cells_date,
        macro_segment,
        layer_set,
        {{ values | join(', ') }},
        micro_segment_id
    from walked

)

select * from final
