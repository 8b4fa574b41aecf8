-- Which steps of each audience everybody fits, as the sum of their bits; who fits none has no row, unless the audience
-- leaves out but takes in nobody. Each condition is looked at once; audiences that refer to others come after them.
-- Attributes and numbers that no condition asks for cost nothing: their joins are with nothing.
{{ config(materialized='table') }}

with people as (

    select
        snapshot_date,
        customer_id
    from {{ ref('int_customer_snapshots') }}
    where snapshot_date in ({{ date_literals(audience_snapshots_to_build()) }})

),

rules as (

    select * from {{ ref('int_audience_rules') }}

),

steps as (

    select * from {{ ref('micro_audience_steps') }}

),

condition_matches as (

    select * from {{ ref('micro_condition_matches') }}

),

{% for level in audience_levels() -%}
fits_{{ level }} as (

    select
        matches.snapshot_date,
        steps.audience_id,
        matches.customer_id,
        steps.wanted_bits,
        steps.step_bit
    from steps
    inner join rules on steps.audience_id = rules.audience_id and steps.step = rules.step
    inner join condition_matches as matches on rules.condition_number = matches.condition_number
    where steps.nesting_level = {{ level }}
    union all
    select
        people.snapshot_date,
        steps.audience_id,
        people.customer_id,
        steps.wanted_bits,
        0 as step_bit
    from people
    inner join steps on steps.wanted_bits = 0 and steps.nesting_level = {{ level }}
    {% for lower_level in audience_levels()[:level] -%}
    union all
    select
        nested.snapshot_date,
        steps.audience_id,
        nested.customer_id,
        steps.wanted_bits,
        steps.step_bit
    from steps
    inner join rules on steps.audience_id = rules.audience_id and steps.step = rules.step
    inner join matches_{{ lower_level }} as nested on rules.nested_audience_id = nested.audience_id
    where steps.nesting_level = {{ level }} and nested.is_member
    {% endfor %}
),

matches_{{ level }} as (

    select
        snapshot_date,
        audience_id,
        customer_id,
        bit_or(step_bit) as matched_bits,
        bit_or(step_bit) = wanted_bits as is_member
    from fits_{{ level }}
    group by snapshot_date, audience_id, customer_id, wanted_bits

),

{% endfor -%}
final as (

    {% for level in audience_levels() -%}
    select
        snapshot_date,
        audience_id,
        customer_id,
        matched_bits,
        is_member
    from matches_{{ level }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select * from final
