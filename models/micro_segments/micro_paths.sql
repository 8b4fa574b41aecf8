-- How each node of a snapshot's tree is reached: the nodes on the way to it from the base down, itself included. What
-- is common to all, where macro-segments are not told apart, is no step on it.
with nodes as (

    select * from {{ ref('micro_nodes') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

steps as (

    select
        snapshot_date,
        node_id,
        parent_id,
        layer,
        coalesce(attribute, 'macro_segment') as attribute,
        coalesce(value, case when layer = 0 and not is_remainder then macro_segment end) as value
    from nodes
    where node_id <> {{ dbt.hash("'all'") }}

),

way_0 as (

    select
        *,
        node_id as micro_segment_id
    from steps

),

{% for layer in layer_numbers() -%}
way_{{ layer }} as (

    select
        steps.*,
        way.micro_segment_id
    from way_{{ layer - 1 }} as way
    inner join steps on way.snapshot_date = steps.snapshot_date and way.parent_id = steps.node_id

),

{% endfor -%}
final as (

    {% for layer in [0] + layer_numbers() -%}
    select
        snapshot_date,
        micro_segment_id,
        layer,
        node_id,
        attribute,
        value
    from way_{{ layer }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select * from final
