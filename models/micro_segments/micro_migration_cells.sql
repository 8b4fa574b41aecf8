-- Which cells of the movement may be shown: those of at least smallest_cell customers. Where the cells that are hidden
-- of all that leave one place, or come to one, are together too few as well, one more is hidden with them: the
-- stayers, who say the least, or else the smallest. It has enough customers itself, so nothing falls short again.
{{ config(materialized='table') }}

{% set step = ['previous_snapshot_date', 'snapshot_date', 'step'] -%}
{% set smallest = var('smallest_cell') -%}
with migrations as (

    select * from {{ ref('micro_migrations') }}

),

hidden_0 as (

    select
        *,
        customers < {{ smallest }} as is_hidden
    from migrations

),

{% for side, other_side in [('from', 'to'), ('to', 'from')] -%}
ranked_{{ loop.index }} as (

    select
        *,
        sum(case when is_hidden then customers else 0 end) over (
            partition by {{ step | join(', ') }}, {{ side }}_id
        ) as customers_hidden,
        row_number() over (
            partition by {{ step | join(', ') }}, {{ side }}_id, is_hidden
            order by
                case when from_id = to_id then 0 else 1 end,
                customers nulls last, {{ other_side }}_id nulls last, cause nulls last
        ) as cell_rank
    from hidden_{{ loop.index0 }}

),

hidden_{{ loop.index }} as (

    select
        {{ step | join(', ') }},
        from_id,
        to_id,
        cause,
        customers,
        predicted_ltv_365d_before,
        predicted_ltv_365d_after,
        is_hidden or (customers_hidden between 1 and {{ smallest - 1 }} and cell_rank = 1) as is_hidden
    from ranked_{{ loop.index }}

),

{% endfor -%}
final as (

    select
        {{ step | join(', ') }},
        from_id,
        to_id,
        cause,
        customers,
        predicted_ltv_365d_before,
        predicted_ltv_365d_after,
        is_hidden
    from hidden_2

)

select * from final
