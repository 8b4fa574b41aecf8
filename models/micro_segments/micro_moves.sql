-- Customers of two compared snapshots counted by where they stood and stand, each by the rules of its own day and by
-- those of the other; and those who came or went, by how.
{{ config(pre_hook="{{ drop_stale_pairs() }}") }}

{% set sides = {'previous_snapshot_date': 'earlier', 'snapshot_date': 'later'} -%}
with pairs as (

    {{ pairs_to_build() }}

),

customers as (

    select * from {{ ref('int_customer_snapshots') }}

),

segments as (

    select * from {{ ref('micro_customer_snapshots') }}

),

layer_values as (

    select * from {{ ref('micro_layer_values') }}

),

cells as (

    select * from {{ ref('micro_cells_by_other_rules') }}

),

lifetime_values as (

    select * from {{ ref('ltv_customer_snapshots') }}

),

given_up_ids as (

    select * from {{ ref('int_merge_snapshots') }}

),

{% for date_column, side in sides.items() -%}
{{ side }}_by_other_rules as (

    select
        pairs.previous_snapshot_date,
        pairs.snapshot_date,
        layer_values.customer_id,
        cells.micro_segment_id
    from pairs
    inner join layer_values on pairs.{{ date_column }} = layer_values.snapshot_date
    inner join cells
        on
            pairs.previous_snapshot_date = cells.previous_snapshot_date
            and pairs.snapshot_date = cells.snapshot_date
            and pairs.{{ date_column }} = cells.cells_date
            and layer_values.macro_segment = cells.macro_segment
            and layer_values.layer_set = cells.layer_set
            {%- for layer in layer_numbers() %}
            and layer_values.value_{{ layer }} = cells.value_{{ layer }}
            {%- endfor %}

),

{{ side }} as (

    select
        pairs.previous_snapshot_date,
        pairs.snapshot_date,
        customers.customer_id,
        customers.is_known,
        customers.first_received_date,
        segments.micro_segment_id,
        by_other_rules.micro_segment_id as other_rules_id,
        coalesce(lifetime_values.predicted_ltv_365d, 0) as predicted_ltv_365d
    from pairs
    inner join customers on pairs.{{ date_column }} = customers.snapshot_date
    left join segments
        on customers.snapshot_date = segments.snapshot_date and customers.customer_id = segments.customer_id
    left join {{ side }}_by_other_rules as by_other_rules
        on
            pairs.previous_snapshot_date = by_other_rules.previous_snapshot_date
            and pairs.snapshot_date = by_other_rules.snapshot_date
            and customers.customer_id = by_other_rules.customer_id
    left join lifetime_values
        on
            customers.snapshot_date = lifetime_values.snapshot_date
            and customers.customer_id = lifetime_values.customer_id

),

{% endfor -%}
merged as (

    select
        pairs.previous_snapshot_date,
        pairs.snapshot_date,
        given_up_ids.given_up_id,
        given_up_ids.customer_id,
        customers.is_known
    from pairs
    inner join given_up_ids
        on
            pairs.snapshot_date = given_up_ids.snapshot_date
            and pairs.previous_snapshot_date < given_up_ids.received_date
    inner join customers
        on pairs.previous_snapshot_date = customers.snapshot_date and given_up_ids.given_up_id = customers.customer_id

),

renamed as (

    select distinct
        previous_snapshot_date,
        snapshot_date,
        customer_id
    from merged
    where is_known

),

matched as (

    select
        coalesce(earlier.previous_snapshot_date, later.previous_snapshot_date) as previous_snapshot_date,
        coalesce(earlier.snapshot_date, later.snapshot_date) as snapshot_date,
        earlier.customer_id as customer_id_before,
        later.customer_id as customer_id_now,
        later.is_known,
        later.first_received_date,
        earlier.micro_segment_id as from_id,
        earlier.other_rules_id as from_id_by_rules_now,
        later.other_rules_id as to_id_by_rules_before,
        later.micro_segment_id as to_id,
        earlier.predicted_ltv_365d as predicted_ltv_365d_before,
        later.predicted_ltv_365d as predicted_ltv_365d_after
    from earlier
    full outer join later
        on
            earlier.previous_snapshot_date = later.previous_snapshot_date
            and earlier.snapshot_date = later.snapshot_date
            and earlier.customer_id = later.customer_id

),

explained as (

    select
        matched.*,
        case
            when matched.customer_id_now is null and merged.given_up_id is not null then 'merged'
            when matched.customer_id_now is null then 'left'
            when matched.customer_id_before is not null then 'stayed'
            when renamed.customer_id is not null then 'renamed'
            when matched.first_received_date > matched.previous_snapshot_date then 'new'
            when matched.is_known then 'became known'
            else 'returned'
        end as presence
    from matched
    left join merged
        on
            matched.previous_snapshot_date = merged.previous_snapshot_date
            and matched.snapshot_date = merged.snapshot_date
            and matched.customer_id_before = merged.given_up_id
    left join renamed
        on
            matched.previous_snapshot_date = renamed.previous_snapshot_date
            and matched.snapshot_date = renamed.snapshot_date
            and matched.customer_id_now = renamed.customer_id

),

final as (

    select
        previous_snapshot_date,
        snapshot_date,
        from_id,
        from_id_by_rules_now,
        to_id_by_rules_before,
        to_id,
        presence,
        count(*) as customers,
        cast(coalesce(sum(predicted_ltv_365d_before), 0) as decimal(18, 2)) as predicted_ltv_365d_before,
        cast(coalesce(sum(predicted_ltv_365d_after), 0) as decimal(18, 2)) as predicted_ltv_365d_after
    from explained
    group by
        previous_snapshot_date, snapshot_date,
        from_id, from_id_by_rules_now, to_id_by_rules_before, to_id, presence

)

select * from final
