with tree as (

    select * from {{ ref('micro_tree') }}

),

measures as (

    select * from {{ ref('micro_segment_measures') }}
    where micro_segment_id is not null and snapshot_date = {{ as_of() }}

),

nodes as (

    select * from {{ ref('micro_nodes') }}

),

movement as (

    select from_id as micro_segment_id
    from {{ ref('micro_migration_cells') }}
    union
    select to_id as micro_segment_id
    from {{ ref('micro_migration_cells') }}

),

-- Movement may lead through a segment that only the rules of an earlier day would draw, and in which nobody ever was.
drawn as (

    select
        snapshot_date,
        micro_segment_id,
        micro_segment,
        macro_segment,
        rule,
        rule_sql,
        is_remainder,
        snapshot_date as inhabited_date
    from tree
    union all
    select
        nodes.snapshot_date,
        nodes.node_id as micro_segment_id,
        nodes.micro_segment,
        nodes.macro_segment,
        nodes.rule,
        nodes.rule_sql,
        nodes.is_remainder,
        cast(null as date) as inhabited_date
    from nodes
    semi join movement on nodes.node_id = movement.micro_segment_id
    anti join tree on nodes.node_id = tree.micro_segment_id

),

-- A segment's rule may change in what its remainder leaves out: the latest holds.
segments as (

    select
        micro_segment_id,
        max_by(micro_segment, snapshot_date) as micro_segment,
        max_by(macro_segment, snapshot_date) as macro_segment,
        max_by(rule, snapshot_date) as rule,
        max_by(rule_sql, snapshot_date) as rule_sql,
        max_by(is_remainder, snapshot_date) as is_remainder,
        min(inhabited_date) as first_snapshot_date,
        max(inhabited_date) as last_snapshot_date
    from drawn
    group by micro_segment_id

),

final as (

    select
        segments.micro_segment_id,
        segments.micro_segment,
        segments.macro_segment,
        segments.rule,
        segments.rule_sql,
        segments.is_remainder,
        coalesce(segments.last_snapshot_date = {{ as_of() }}, false) as is_current,
        segments.first_snapshot_date,
        segments.last_snapshot_date,
        coalesce(measures.customers, 0) as customers,
        coalesce(measures.buyers, 0) as buyers,
        coalesce(measures.email_contactable_customers, 0) as email_contactable_customers,
        cast(coalesce(measures.net_revenue_365d, 0) as decimal(18, 2)) as net_revenue_365d,
        {% for days in ltv_horizons() -%}
        measures.expected_orders_{{ days }}d,
        measures.predicted_ltv_{{ days }}d,
        measures.predicted_ltv_{{ days }}d_low,
        measures.predicted_ltv_{{ days }}d_high,
        {% endfor -%}
        coalesce(measures.is_ltv_backtested, false) as is_ltv_backtested
    from segments
    left join measures on segments.micro_segment_id = measures.micro_segment_id

)

select * from final
