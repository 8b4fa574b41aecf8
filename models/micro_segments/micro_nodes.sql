-- The nodes of each snapshot's tree with their names and rules, from the bases down. The child of all values that are
-- not kept is there at every split, also while nobody is in it: by the rules of the day, an unseen value goes there.
{% set keys = ['snapshot_date', 'base', 'layer_set', 'layer', 'parent_id', 'attribute'] -%}
with macro_segments as (

    select * from {{ ref('micro_bases') }}
    where base is not null and snapshot_date in ({{ snapshots_to_build() }})

),

bases as (

    select
        snapshot_date,
        base,
        base_id,
        is_remainder,
        customers
    from macro_segments
    union all
    select distinct
        snapshot_date,
        'Other customers' as base,
        {{ dbt.hash(dbt.hash("'all'") ~ " || '|macro_segment|other|'") }} as base_id,
        true as is_remainder,
        0 as customers
    from macro_segments
    where base <> 'All customers'

),

splits as (

    select * from {{ ref('micro_splits') }}
    where is_split and snapshot_date in ({{ snapshots_to_build() }})

),

layers as (

    select * from {{ ref('micro_layers') }}

),

children as (

    select
        {{ keys | join(', ') }},
        value,
        node_id,
        customers,
        cast(null as {{ dbt.type_string() }}) as kept_values,
        cast(null as {{ dbt.type_string() }}) as kept_values_sql
    from splits
    where is_kept
    union all
    select
        {{ keys | join(', ') }},
        null as value,
        other_id as node_id,
        sum(case when is_kept then 0 else customers end) as customers,
        {{ sorted_text('case when is_kept then value end') }} as kept_values,
        {{ sorted_text("case when is_kept then '''' || replace(value, '''', '''''') || '''' end") }} as kept_values_sql
    from splits
    group by {{ keys | join(', ') }}, other_id

),

worded as (

    select
        children.*,
        case
            when value is null then 'other ' || replace(children.attribute, '_', ' ')
            when value = 'none' then 'no ' || replace(children.attribute, '_', ' ')
            when value = 'unknown' then 'unknown ' || replace(children.attribute, '_', ' ')
            else value || layers.label_suffix
        end as words,
        children.attribute || coalesce(' = ' || value, ' not in (' || kept_values || ')') as condition,
        children.attribute || coalesce(
            ' = ''' || replace(value, '''', '''''') || '''', ' not in (' || kept_values_sql || ')'
        ) as condition_sql
    from children
    inner join layers on children.layer_set = layers.layer_set and children.layer = layers.layer

),

named_0 as (

    select
        snapshot_date,
        base as macro_segment,
        base_id as node_id,
        base as micro_segment,
        'macro_segment = ' || base as rule,
        'macro_segment = ''' || replace(base, '''', '''''') || '''' as rule_sql,
        is_remainder,
        0 as layer,
        cast(null as {{ dbt.type_string() }}) as parent_id,
        cast(null as {{ dbt.type_string() }}) as attribute,
        cast(null as {{ dbt.type_string() }}) as value,
        sum(customers) as customers
    from bases
    group by snapshot_date, base, base_id, is_remainder

),

{% for layer in layer_numbers() -%}
named_{{ layer }} as (

    select * from named_{{ layer - 1 }}
    union all
    select
        parents.snapshot_date,
        parents.macro_segment,
        children.node_id,
        parents.micro_segment || ' / ' || children.words as micro_segment,
        parents.rule || ' and ' || children.condition as rule,
        parents.rule_sql || ' and ' || children.condition_sql as rule_sql,
        parents.is_remainder or children.value is null as is_remainder,
        children.layer,
        children.parent_id,
        children.attribute,
        children.value,
        children.customers
    from named_{{ layer - 1 }} as parents
    inner join worded as children
        on
            children.layer = {{ layer }}
            and parents.snapshot_date = children.snapshot_date
            and parents.node_id = children.parent_id

),

{% endfor -%}
final as (

    select
        snapshot_date,
        macro_segment,
        node_id,
        parent_id,
        layer,
        attribute,
        value,
        micro_segment,
        rule,
        rule_sql,
        is_remainder,
        cast(customers as bigint) as customers
    from named_{{ layer_numbers() | last }}

)

select * from final
