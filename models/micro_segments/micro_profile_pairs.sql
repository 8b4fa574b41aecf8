-- Each value that customers of a segment have, beside its macro-segment's; also one that nobody in the segment has,
-- where some should be expected to. What drew the segment is left out: it sets it apart by definition.
{{ config(materialized='table') }}

with counts as (

    select * from {{ ref('micro_profile_counts') }}
    union all
    select * from {{ ref('micro_bought_counts') }}

),

nodes as (

    select * from {{ ref('micro_nodes') }}
    where snapshot_date = {{ as_of() }}

),

known as (

    select
        nodes.macro_segment,
        nodes.micro_segment,
        counts.micro_segment_id,
        counts.dimension,
        max(counts.customers_known) as customers
    from counts
    inner join nodes on counts.micro_segment_id = nodes.node_id
    group by nodes.macro_segment, nodes.micro_segment, counts.micro_segment_id, counts.dimension

),

known_of_macro as (

    select
        macro_segment,
        dimension,
        sum(customers) as customers
    from known
    group by macro_segment, dimension

),

values_of_macro as (

    select
        known.macro_segment,
        counts.dimension,
        counts.dimension_value,
        sum(counts.customers) as customers,
        sum(counts.customers_inferred) as customers_inferred
    from counts
    inner join known on counts.micro_segment_id = known.micro_segment_id and counts.dimension = known.dimension
    group by known.macro_segment, counts.dimension, counts.dimension_value
    having sum(counts.customers) >= {{ var('smallest_cell') }}

),

own as (

    select
        micro_segment_id,
        attribute
    from {{ ref('micro_paths') }}
    where snapshot_date = {{ as_of() }}

),

final as (

    select
        known.micro_segment_id,
        known.micro_segment,
        known.macro_segment,
        values_of_macro.dimension,
        values_of_macro.dimension_value,
        coalesce(counts.customers, 0) as customers,
        known.customers as customers_known,
        cast(values_of_macro.customers as bigint) as macro_customers,
        cast(known_of_macro.customers as bigint) as macro_customers_known,
        2 * values_of_macro.customers_inferred > values_of_macro.customers as is_inferred
    from known
    inner join values_of_macro
        on known.macro_segment = values_of_macro.macro_segment and known.dimension = values_of_macro.dimension
    inner join known_of_macro
        on known.macro_segment = known_of_macro.macro_segment and known.dimension = known_of_macro.dimension
    left join counts
        on
            known.micro_segment_id = counts.micro_segment_id
            and values_of_macro.dimension = counts.dimension
            and values_of_macro.dimension_value = counts.dimension_value
    anti join own
        on known.micro_segment_id = own.micro_segment_id and known.dimension = own.attribute
    where
        counts.customers is not null
        or known.customers * values_of_macro.customers >= {{ var('smallest_cell') }} * known_of_macro.customers

)

select * from final
