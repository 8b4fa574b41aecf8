{# Purpose: which segment customers are in by the rules of a snapshot, of their own day or of another one: from the base
   down, layer by layer. A value that the snapshot has not seen goes where the values go that are not kept.
   Usage: walk_tree('cells', 'walked') -- after CTEs `cells` (rules_date: the snapshot whose rules hold; base_id and
   value_1, value_2, ... of micro_layer_values for the base's layer set; any other columns) and `splits` (micro_splits)
   Output: a chain of CTEs that ends with <name>: the columns of the relation, node_0, node_1, ... (where the customers
   are after each layer), and micro_segment_id (where they are after the last). #}
{% macro walk_tree(relation, name) -%}
    {{ name }}_0 as (

    select
        *,
        base_id as node_0
    from {{ relation }}

),

{{ name }}_others as (

    select distinct
        snapshot_date,
        layer,
        parent_id,
        other_id
    from splits
    where is_split

),

{% for layer in layer_numbers() -%}
{{ name }}_{{ layer }} as (

    select
        walked.*,
        coalesce(splits.node_id, others.other_id, walked.node_{{ layer - 1 }}) as node_{{ layer }}
    from {{ name }}_{{ layer - 1 }} as walked
    left join splits
        on
            splits.layer = {{ layer }}
            and walked.rules_date = splits.snapshot_date
            and walked.node_{{ layer - 1 }} = splits.parent_id
            and walked.value_{{ layer }} = splits.value
    left join {{ name }}_others as others
        on
            others.layer = {{ layer }}
            and walked.rules_date = others.snapshot_date
            and walked.node_{{ layer - 1 }} = others.parent_id

),

{% endfor -%}
{{ name }} as (

    select
        *,
        node_{{ layer_numbers() | last }} as micro_segment_id
    from {{ name }}_{{ layer_numbers() | last }}

)
{%- endmacro %}
