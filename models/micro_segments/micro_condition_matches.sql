-- Who fits each condition of the audiences' rules. Every attribute and number is one branch, joined with the conditions
-- on it: those that no rule asks for meet nothing and cost nothing.
{{ config(materialized='table') }}

with people as (

    select * from {{ ref('int_customer_snapshots') }}
    where snapshot_date in ({{ date_literals(audience_snapshots_to_build()) }})

),

ages as (

    select
        snapshot_date,
        customer_id,
        age
    from {{ ref('int_demographic_snapshots') }}
    where snapshot_date in ({{ date_literals(audience_snapshots_to_build()) }})

),

lifetime_values as (

    select * from {{ ref('ltv_customer_snapshots') }}
    where snapshot_date in ({{ date_literals(audience_snapshots_to_build()) }})

),

attributes as (

    select * from {{ ref('micro_attributes') }}
    where snapshot_date in ({{ date_literals(audience_snapshots_to_build()) }})

),

conditions as (

    select distinct
        condition_number,
        kind,
        field,
        value,
        number_from,
        number_to
    from {{ ref('int_audience_rules') }}
    where kind in ('attribute', 'number')

),

numbers as (

    select
        {% for number in [
            'probability_alive', 'expected_orders_365d', 'historic_ltv', 'predicted_ltv_90d', 'predicted_ltv_180d',
            'predicted_ltv_365d', 'predicted_ltv_1095d',
        ] -%}
        lifetime_values.{{ number }},
        {% endfor -%}
        ages.age,
        people.*
    from people
    inner join ages on people.snapshot_date = ages.snapshot_date and people.customer_id = ages.customer_id
    left join lifetime_values
        on
            people.snapshot_date = lifetime_values.snapshot_date
            and people.customer_id = lifetime_values.customer_id

),

final as (

    select
        behaviours.snapshot_date,
        behaviours.condition_number,
        behaviours.customer_id
    from {{ ref('int_behaviour_matches') }} as behaviours
    semi join people
        on behaviours.snapshot_date = people.snapshot_date and behaviours.customer_id = people.customer_id
    {% for attribute in attribute_columns() -%}
    union all
    select
        attributes.snapshot_date,
        conditions.condition_number,
        attributes.customer_id
    from attributes
    inner join conditions
        on
            conditions.kind = 'attribute'
            and conditions.field = '{{ attribute }}'
            and lower(attributes.{{ attribute }}) = conditions.value
    {% endfor -%}
    {% for number in audience_numbers() -%}
    union all
    select
        numbers.snapshot_date,
        conditions.condition_number,
        numbers.customer_id
    from numbers
    inner join conditions
        on
            conditions.kind = 'number'
            and conditions.field = '{{ number }}'
            and cast(numbers.{{ number }} as double)
            between coalesce(conditions.number_from, cast(numbers.{{ number }} as double))
            and coalesce(conditions.number_to, cast(numbers.{{ number }} as double))
    {% endfor %}
)

select * from final
