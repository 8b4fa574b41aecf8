-- The values that customers have now, or that rules name, of everything that macro-segments are drawn by.
{{ config(materialized='table') }}

{% set dimensions = macro_dimensions() -%}
with attributes as (

    select * from {{ ref('macro_attributes') }}
    where snapshot_date = {{ as_of() }}

),

customers as (

    select * from {{ ref('macro_customer_snapshots') }}
    where snapshot_date = {{ as_of() }}

),

rules as (

    select * from {{ ref('macro_segment_rules') }}

),

last_rule as (

    select max(priority) as priority
    from rules

),

there as (

    select
        attributes.{{ dimensions | join(', attributes.') }},
        customers.rule_priority = last_rule.priority as is_left_over,
        count(*) as customers
    from attributes
    inner join customers on attributes.customer_id = customers.customer_id
    cross join last_rule
    group by attributes.{{ dimensions | join(', attributes.') }}, customers.rule_priority = last_rule.priority

),

counted as (

    {% for dimension in dimensions -%}
    select
        '{{ dimension }}' as attribute,
        {{ dimension }} as value,
        cast(null as integer) as priority,
        customers,
        case when is_left_over then customers else 0 end as customers_left_over
    from there
    union all
    select
        '{{ dimension }}' as attribute,
        {{ dimension }} as value,
        priority,
        0 as customers,
        0 as customers_left_over
    from rules
    where {{ dimension }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (

    select
        attribute,
        value,
        min(priority) as first_priority,
        count(priority) > 0 as is_named,
        max(case when count(priority) > 0 then 1 else 0 end) over (partition by attribute) = 1 as is_attribute_named,
        cast(sum(customers) as bigint) as customers,
        cast(sum(customers_left_over) as bigint) as customers_left_over
    from counted
    group by attribute, value

)

select * from final
