-- What the check before a refresh refuses, for those who run dbt alone: a rule on something that isn't there, or that
-- can't be compared, would fit nobody without a word. The catalogue and the models know the same numbers.
with rules as (

    select * from {{ ref('int_audience_rules') }}

),

fields as (

    select
        kind,
        coalesce(field, '') as field
    from {{ ref('audience_fields') }}
    union all
    select
        'attribute' as kind,
        attribute as field
    from {{ ref('attributes') }}
    union all
    select
        'audience' as kind,
        '' as field

),

numbers_in_catalogue as (

    select field
    from fields
    where kind = 'number'

),

numbers_there as (

    {% for number in audience_numbers() -%}
    select '{{ number }}' as field
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    'no such kind or field' as fault,
    audience_id,
    step
from rules
anti join fields on rules.kind = fields.kind and rules.field = fields.field
union all
select
    'operator that is not for the kind, or none' as fault,
    audience_id,
    step
from rules
where
    case
        when kind in ('attribute', 'audience') then coalesce(operator, '') <> 'is'
        when kind = 'number' then coalesce(operator, '') not in ('is', 'at least', 'at most', 'between')
        when field = '' then operator is not null
        else operator not in ('is', 'contains', 'begins with')
    end
union all
select
    'no value, or one that is no number, or ends in the wrong order' as fault,
    audience_id,
    step
from rules
where
    (operator is not null and value is null)
    or (kind = 'number' and number_from is null and number_to is null)
    or (kind = 'number' and operator = 'between' and not coalesce(number_from <= number_to, false))
union all
select
    'window that can not be' as fault,
    audience_id,
    step
from rules
where
    ago_to < coalesce(ago_from, 0)
    or (ago_unit is null and (ago_from is not null or ago_to is not null))
union all
select
    'refers to no audience, to itself in a circle, or too deep' as fault,
    audience_id,
    step
from rules
anti join {{ ref('micro_audience_steps') }} as steps on rules.audience_id = steps.audience_id
union all
select
    'two names of one audience' as fault,
    audience_id,
    null as step
from rules
group by audience_id
having min(audience) <> max(audience)
union all
select
    'alternatives of one step, included and excluded' as fault,
    audience_id,
    step
from rules
group by audience_id, step
having min(is_excluded) <> max(is_excluded)
union all
select
    'more steps than there are bits' as fault,
    audience_id,
    null as step
from rules
group by audience_id
having count(distinct step) > 50
union all
select
    'number that only the catalogue or only the models know' as fault,
    coalesce(catalogue.field, numbers_there.field) as audience_id,
    null as step
from numbers_in_catalogue as catalogue
full outer join numbers_there on catalogue.field = numbers_there.field
where catalogue.field is null or numbers_there.field is null
