-- The base of each tree: a macro-segment that is large enough to be shown; those that are not stand together. Where all
-- customers together are too few, nothing is shown.
with customers as (

    select
        snapshot_date,
        macro_segment,
        count(*) as customers
    from {{ ref('macro_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})
    group by snapshot_date, macro_segment

),

layered as (

    select
        customers.snapshot_date,
        'all' as path_id,
        layers.attribute,
        customers.macro_segment as value,
        layers.min_customers,
        customers.customers
    from customers
    cross join {{ ref('micro_segment_layers') }} as layers
    where layers.macro_segment = '*' and layers.layer = 0

),

{{ split_layer('layered', 'split') }},

final as (

    select
        layered.snapshot_date,
        layered.value as macro_segment,
        case
            when sum(layered.customers) over (partition by layered.snapshot_date) < layered.min_customers then null
            when not split.is_split then 'All customers'
            when split.is_kept then layered.value
            else 'Other customers'
        end as base,
        split.is_split and not split.is_kept as is_remainder
    from layered
    inner join split
        on layered.snapshot_date = split.snapshot_date and layered.value = split.value

)

select * from final
