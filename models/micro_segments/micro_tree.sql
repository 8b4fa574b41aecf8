-- The tree of each snapshot, grown layer by layer on cells: customers who are alike in all that the layers look at.
-- One row per cell, with the segment that its customers are in.
{% set values = [] -%}
{% for layer in layer_numbers() %}{% do values.append('value_' ~ layer) %}{% endfor -%}
with cells as (

    select
        snapshot_date,
        base,
        {{ values | join(', ') }},
        count(*) as customers
    from {{ ref('micro_layer_values') }}
    where snapshot_date in ({{ snapshots_to_build() }})
    group by snapshot_date, base, {{ values | join(', ') }}

),

layers as (

    select * from {{ ref('micro_base_layers') }}

),

grown_0 as (

    select
        *,
        {{ dbt.hash("'all|macro_segment|value|' || base") }} as path_id,
        base as micro_segment,
        'macro_segment = ' || base as rule,
        'macro_segment = ''' || replace(base, '''', '''''') || '''' as rule_sql,
        false as is_remainder
    from cells

),

{% for layer in layer_numbers() -%}
layered_{{ layer }} as (

    select
        grown.*,
        layers.attribute,
        layers.min_customers,
        grown.value_{{ layer }} as value
    from grown_{{ layer - 1 }} as grown
    left join layers on grown.base = layers.base and layers.layer = {{ layer }}

),

{{ split_layer('layered_' ~ layer, 'split_' ~ layer) }},

grown_{{ layer }} as (

    select
        layered.snapshot_date,
        layered.base,
        {% for value in values -%}
        layered.{{ value }},
        {% endfor -%}
        layered.customers,
        -- The layer's number is not in the id: a rule that keeps its meaning keeps its id.
        case
            when not coalesce(split.is_split, false) then layered.path_id
            when split.is_kept
                then {{ dbt.hash("layered.path_id || '|' || layered.attribute || '|value|' || layered.value") }}
            else {{ dbt.hash("layered.path_id || '|' || layered.attribute || '|other|'") }}
        end as path_id,
        layered.micro_segment || case
            when not coalesce(split.is_split, false) then ''
            when split.is_kept and layered.value = 'none' then ' / no ' || replace(layered.attribute, '_', ' ')
            when split.is_kept and layered.value = 'unknown' then ' / unknown ' || replace(layered.attribute, '_', ' ')
            when split.is_kept then ' / ' || layered.value || layered.label_suffix
            else ' / other ' || replace(layered.attribute, '_', ' ')
        end as micro_segment,
        layered.rule || case
            when not coalesce(split.is_split, false) then ''
            when split.is_kept then ' and ' || layered.attribute || ' = ' || layered.value
            else ' and ' || layered.attribute || ' not in (' || replace(split.other_rule_values, '''', '') || ')'
        end as rule,
        layered.rule_sql || case
            when not coalesce(split.is_split, false) then ''
            when split.is_kept
                then ' and ' || layered.attribute || ' = ''' || replace(layered.value, '''', '''''') || ''''
            when split.other_rule_values = '' then ''
            else ' and ' || layered.attribute || ' not in (' || split.other_rule_values || ')'
        end as rule_sql,
        layered.is_remainder or coalesce(split.is_split and not split.is_kept, false) as is_remainder
    from layered_{{ layer }} as layered
    left join split_{{ layer }} as split
        on
            layered.snapshot_date = split.snapshot_date
            and layered.path_id = split.path_id
            and layered.value = split.value

),

{% endfor -%}
final as (

    select
        snapshot_date,
        base as macro_segment,
        {% for value in values -%}
        {{ value }},
        {% endfor -%}
        customers,
        path_id as micro_segment_id,
        micro_segment,
        rule,
        rule_sql,
        is_remainder
    from grown_{{ layer_numbers() | last }}

)

select * from final
