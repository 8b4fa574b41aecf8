-- The base of each tree: a macro-segment that is large enough to be shown; those that are not stand together. Where all
-- customers together are too few, nothing is shown. It is layer 0 of the tree, and splits by the same rule.
with cells as (

    select * from {{ ref('micro_cells') }}

),

counted_dates as (

    select * from {{ ref('micro_counted_dates') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

sets_counted as (

    select
        snapshot_date,
        macro_segment,
        layer_set,
        sum(customers) as customers
    from cells
    group by snapshot_date, macro_segment, layer_set

),

-- Each set of layers sees all customers of a macro-segment.
cell_counts as (

    select
        snapshot_date as counted_date,
        macro_segment as cell,
        max(customers) as customers
    from sets_counted
    group by snapshot_date, macro_segment

),

snapshot_dates as (

    select distinct snapshot_date
    from counted_dates

),

macro_segments as (

    select distinct cell
    from cell_counts

),

layered as (

    select
        snapshot_dates.snapshot_date,
        macro_segments.cell,
        {{ dbt.hash("'all'") }} as path_id,
        layers.attribute,
        macro_segments.cell as value,
        layers.min_customers
    from snapshot_dates
    cross join macro_segments
    cross join {{ ref('micro_segment_layers') }} as layers
    where layers.macro_segment = '*' and layers.layer = 0

),

{{ split_layer('layered', 'split') }},

based as (

    select
        *,
        case
            when sum(customers) over (partition by snapshot_date) < min_customers then null
            when not is_split then 'All customers'
            when is_kept then value
            else 'Other customers'
        end as base
    from split

),

sets as (

    select distinct layer_set
    from {{ ref('micro_layers') }}

),

final as (

    select
        based.snapshot_date,
        based.value as macro_segment,
        based.base,
        case when based.base is not null then based.node_id end as base_id,
        coalesce(sets.layer_set, '*') as layer_set,
        based.min_customers,
        cast(based.customers as bigint) as customers,
        cast(based.customers_to_date as bigint) as customers_to_date,
        based.is_open,
        based.is_split and not based.is_kept as is_remainder
    from based
    left join sets on based.base = sets.layer_set

)

select * from final
