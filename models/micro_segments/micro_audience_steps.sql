-- The steps of each audience, in words, and as bits of one number: the steps that somebody fits are the sum of their
-- bits. An audience's members are those who fit the included steps and none of the excluded.
{{ config(materialized='table') }}

with rules as (

    select * from {{ ref('int_audience_rules') }}

),

-- An audience that refers to others is one level above the highest of them. Circles have no level.
level_0 as (

    select
        audience_id,
        0 as nesting_level
    from rules
    group by audience_id
    having count(nested_audience_id) = 0

),

{% for level in audience_levels()[1:] -%}
level_{{ level }} as (

    select
        audience_id,
        nesting_level
    from level_{{ level - 1 }}
    union all
    select
        rules.audience_id,
        {{ level }} as nesting_level
    from rules
    anti join level_{{ level - 1 }} as placed on rules.audience_id = placed.audience_id
    left join level_{{ level - 1 }} as nested on rules.nested_audience_id = nested.audience_id
    group by rules.audience_id
    having count(rules.nested_audience_id) = count(nested.audience_id)

),

{% endfor -%}
steps as (

    select
        audience_id,
        step,
        max(audience) as audience,
        max(is_excluded) as is_excluded,
        {{ sorted_text('condition', separator=' or ') }} as conditions,
        count(*) as alternatives,
        cast(power(2, row_number() over (partition by audience_id order by step nulls last) - 1) as bigint) as step_bit
    from rules
    group by audience_id, step

),

final as (

    select
        steps.audience_id,
        steps.audience,
        levels.nesting_level,
        steps.step,
        steps.is_excluded,
        case
            when steps.is_excluded then 'not (' || steps.conditions || ')'
            when steps.alternatives > 1 then '(' || steps.conditions || ')'
            else steps.conditions
        end as rule,
        steps.step_bit,
        cast(sum(steps.step_bit) over (partition by steps.audience_id) as bigint) as all_bits,
        cast(sum(case when steps.is_excluded then 0 else steps.step_bit end) over (
            partition by steps.audience_id
        ) as bigint) as wanted_bits
    from steps
    inner join level_{{ audience_levels() | last }} as levels on steps.audience_id = levels.audience_id

)

select * from final
