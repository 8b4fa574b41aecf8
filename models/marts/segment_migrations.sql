-- Cells that may not be shown are counted together, once where their customers come from and once where they go to, so
-- that every segment's figures still add up.
{% set step = ['previous_snapshot_date', 'snapshot_date', 'step'] -%}
with cells as (

    select * from {{ ref('micro_migration_cells') }}

),

pairs as (

    select * from {{ ref('int_snapshot_pairs') }}

),

snapshot_dates as (

    select * from {{ ref('int_snapshot_dates') }}

),

labels as (

    select
        node_id,
        max(micro_segment) as micro_segment
    from {{ ref('micro_nodes') }}
    group by node_id

),

-- Of a place where too few come or leave in all nothing is said, unless it is a segment that is so small by its rule.
shown as (

    select
        {{ step | join(', ') }},
        'none' as end_not_shown,
        from_id,
        to_id,
        cause,
        customers,
        predicted_ltv_365d_before,
        predicted_ltv_365d_after
    from cells
    where not is_hidden
    union all
    select
        {{ step | join(', ') }},
        'to' as end_not_shown,
        from_id,
        cast(null as {{ dbt.type_string() }}) as to_id,
        'suppressed' as cause,
        sum(customers) as customers,
        sum(predicted_ltv_365d_before) as predicted_ltv_365d_before,
        0 as predicted_ltv_365d_after
    from cells
    where is_hidden
    group by {{ step | join(', ') }}, from_id
    having sum(customers) >= {{ var('smallest_cell') }} or (step = 'behaviour' and from_id is not null)
    union all
    select
        {{ step | join(', ') }},
        'from' as end_not_shown,
        cast(null as {{ dbt.type_string() }}) as from_id,
        to_id,
        'suppressed' as cause,
        sum(customers) as customers,
        0 as predicted_ltv_365d_before,
        sum(predicted_ltv_365d_after) as predicted_ltv_365d_after
    from cells
    where is_hidden
    group by {{ step | join(', ') }}, to_id
    having sum(customers) >= {{ var('smallest_cell') }} or (step = 'redrawing' and to_id is not null)

),

final as (

    select
        pairs.period,
        shown.snapshot_date,
        shown.previous_snapshot_date,
        snapshot_dates.is_latest,
        snapshot_dates.is_month_end,
        shown.step,
        {% for side in ['from', 'to'] -%}
        shown.{{ side }}_id as {{ side }}_micro_segment_id,
        case
            when shown.end_not_shown = '{{ side }}' then '(not shown)'
            else coalesce({{ side }}_labels.micro_segment, '(outside)')
        end as {{ side }}_micro_segment,
        {% endfor -%}
        shown.cause,
        cast(shown.customers as bigint) as customers,
        cast(shown.predicted_ltv_365d_before as decimal(18, 2)) as predicted_ltv_365d_before,
        cast(shown.predicted_ltv_365d_after as decimal(18, 2)) as predicted_ltv_365d_after
    from shown
    inner join pairs
        on
            shown.previous_snapshot_date = pairs.previous_snapshot_date
            and shown.snapshot_date = pairs.snapshot_date
    inner join snapshot_dates on shown.snapshot_date = snapshot_dates.snapshot_date
    left join labels as from_labels on shown.from_id = from_labels.node_id
    left join labels as to_labels on shown.to_id = to_labels.node_id

)

select * from final
