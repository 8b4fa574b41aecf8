-- How many customers each rule matches now, and how many of them it takes: those whom no rule before it has taken.
{{ config(materialized='table') }}

{% set dimensions = macro_dimensions() -%}
with attributes as (

    select * from {{ ref('macro_attributes') }}
    where snapshot_date = {{ as_of() }}

),

rules as (

    select * from {{ ref('macro_segment_rules') }}

),

kinds as (

    select
        {{ dimensions | join(', ') }},
        count(*) as customers
    from attributes
    group by {{ dimensions | join(', ') }}

),

matches as (

    select
        rules.priority,
        kinds.customers,
        row_number() over (
            partition by kinds.{{ dimensions | join(', kinds.') }} order by rules.priority nulls last
        ) = 1 as is_taken
    from kinds
    inner join rules on {{ macro_rule_matches('rules', 'kinds') }}

),

final as (

    select
        rules.priority,
        rules.macro_segment,
        cast(coalesce(sum(matches.customers), 0) as bigint) as customers,
        cast(coalesce(sum(case when matches.is_taken then matches.customers end), 0) as bigint) as customers_taken
    from rules
    left join matches on rules.priority = matches.priority
    group by rules.priority, rules.macro_segment

)

select * from final
