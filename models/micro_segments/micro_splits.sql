-- The tree of each snapshot, grown layer by layer: how each node is split by the values of its layer's attribute. It is
-- grown on cells, and frozen with its snapshot: whoever asks later where a customer would have stood walks it.
{% set values = [] -%}
{% for layer in layer_numbers() %}{% do values.append('value_' ~ layer) %}{% endfor -%}
with counted_dates as (

    select * from {{ ref('micro_counted_dates') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

counted_cells as (

    select * from {{ ref('micro_cells') }}

),

bases as (

    select * from {{ ref('micro_bases') }}
    where base is not null and snapshot_date in ({{ snapshots_to_build() }})

),

layers as (

    select * from {{ ref('micro_layers') }}

),

cells as (

    select
        macro_segment,
        layer_set,
        {{ values | join(', ') }},
        row_number() over (
            order by
                macro_segment nulls last, layer_set nulls last, {{ values | join(' nulls last, ') }} nulls last
        ) as cell
    from counted_cells
    group by macro_segment, layer_set, {{ values | join(', ') }}

),

cell_counts as (

    select
        cells.cell,
        counted_cells.snapshot_date as counted_date,
        counted_cells.customers
    from counted_cells
    inner join cells
        on
            counted_cells.macro_segment = cells.macro_segment
            and counted_cells.layer_set = cells.layer_set
            {%- for value in values %}
            and counted_cells.{{ value }} = cells.{{ value }}
            {%- endfor %}

),

grown_0 as (

    select
        bases.snapshot_date,
        bases.base,
        bases.base_id as path_id,
        cells.*
    from bases
    inner join cells on bases.macro_segment = cells.macro_segment and bases.layer_set = cells.layer_set

),

{% for layer in layer_numbers() -%}
layered_{{ layer }} as (

    select
        grown.*,
        grown.value_{{ layer }} as value,
        layers.attribute,
        layers.min_customers
    from grown_{{ layer - 1 }} as grown
    left join layers on grown.layer_set = layers.layer_set and layers.layer = {{ layer }}

),

{{ split_layer('layered_' ~ layer, 'split_' ~ layer, also=['base', 'layer_set']) }},

grown_{{ layer }} as (

    select
        layered.snapshot_date,
        layered.base,
        coalesce(split.node_id, layered.path_id) as path_id,
        layered.macro_segment,
        layered.layer_set,
        layered.{{ values | join(', layered.') }},
        layered.cell
    from layered_{{ layer }} as layered
    left join split_{{ layer }} as split
        on
            layered.snapshot_date = split.snapshot_date
            and layered.path_id = split.path_id
            and layered.value = split.value

),

{% endfor -%}
final as (

    {% for layer in layer_numbers() -%}
    select
        snapshot_date,
        base,
        layer_set,
        {{ layer }} as layer,
        path_id as parent_id,
        attribute,
        value,
        min_customers,
        cast(customers as bigint) as customers,
        cast(customers_to_date as bigint) as customers_to_date,
        is_open,
        is_kept,
        is_split,
        node_id,
        other_id
    from split_{{ layer }}
    where customers > 0
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select * from final
