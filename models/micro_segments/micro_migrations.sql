-- Movement between two snapshots in two steps, each with its cause. Behaviour: where customers stood, and where they
-- stand by the rules of the day before. Redrawing: from there to where they stand by the rules of today. A path leads
-- from the base to a segment; where two paths part first is the cause.
{{ config(materialized='table') }}

{% set move = ['previous_snapshot_date', 'snapshot_date', 'step', 'from_id', 'to_id'] -%}
with moves as (

    select * from {{ ref('micro_moves') }}

),

paths as (

    select * from {{ ref('micro_paths') }}

),

steps as (

    select
        previous_snapshot_date,
        snapshot_date,
        'behaviour' as step,
        from_id,
        to_id_by_rules_before as to_id,
        previous_snapshot_date as to_rules_date,
        presence,
        sum(customers) as customers,
        sum(predicted_ltv_365d_before) as predicted_ltv_365d_before,
        sum(predicted_ltv_365d_after) as predicted_ltv_365d_after
    from moves
    group by previous_snapshot_date, snapshot_date, from_id, to_id_by_rules_before, presence
    union all
    select
        previous_snapshot_date,
        snapshot_date,
        'redrawing' as step,
        to_id_by_rules_before as from_id,
        to_id,
        snapshot_date as to_rules_date,
        'stayed' as presence,
        sum(customers) as customers,
        sum(predicted_ltv_365d_after) as predicted_ltv_365d_before,
        sum(predicted_ltv_365d_after) as predicted_ltv_365d_after
    from moves
    where presence not in ('left', 'merged')
    group by previous_snapshot_date, snapshot_date, to_id_by_rules_before, to_id

),

moved as (

    select distinct
        {{ move | join(', ') }},
        to_rules_date
    from steps
    where from_id <> to_id

),

nodes_passed as (

    select
        moved.*,
        paths.layer,
        paths.attribute,
        paths.node_id as from_node_id,
        paths.value as from_value,
        cast(null as {{ dbt.type_string() }}) as to_node_id
    from moved
    inner join paths on moved.previous_snapshot_date = paths.snapshot_date and moved.from_id = paths.micro_segment_id
    union all
    select
        moved.*,
        paths.layer,
        paths.attribute,
        cast(null as {{ dbt.type_string() }}) as from_node_id,
        cast(null as {{ dbt.type_string() }}) as from_value,
        paths.node_id as to_node_id
    from moved
    inner join paths on moved.to_rules_date = paths.snapshot_date and moved.to_id = paths.micro_segment_id

),

partings as (

    select
        {{ move | join(', ') }},
        layer,
        max(attribute) as attribute,
        max(from_node_id) as from_node_id,
        max(from_value) as from_value,
        max(to_node_id) as to_node_id
    from nodes_passed
    group by {{ move | join(', ') }}, layer
    having coalesce(max(from_node_id), '') <> coalesce(max(to_node_id), '')
    qualify row_number() over (partition by {{ move | join(', ') }} order by layer nulls last) = 1

),

-- Where only one of two trees splits a node, its children opened or closed. Where both do, whoever had a segment of his
-- own value then is now among the others, or the other way round.
final as (

    select
        steps.previous_snapshot_date,
        steps.snapshot_date,
        steps.step,
        steps.from_id,
        steps.to_id,
        case
            when steps.presence <> 'stayed' then steps.presence
            when steps.from_id = steps.to_id then 'stayed'
            when steps.step = 'behaviour' then partings.attribute
            when steps.from_id is null then 'segment opened'
            when steps.to_id is null then 'segment closed'
            when partings.from_node_id is null then 'segment opened'
            when partings.to_node_id is null or partings.from_value is not null then 'segment closed'
            else 'segment opened'
        end as cause,
        cast(steps.customers as bigint) as customers,
        cast(case when steps.from_id is null then 0 else steps.predicted_ltv_365d_before end as decimal(18, 2))
            as predicted_ltv_365d_before,
        cast(case when steps.to_id is null then 0 else steps.predicted_ltv_365d_after end as decimal(18, 2))
            as predicted_ltv_365d_after
    from steps
    left join partings
        on
            steps.previous_snapshot_date = partings.previous_snapshot_date
            and steps.snapshot_date = partings.snapshot_date
            and steps.step = partings.step
            and steps.from_id = partings.from_id
            and steps.to_id = partings.to_id
    where steps.from_id is not null or steps.to_id is not null

)

select * from final
