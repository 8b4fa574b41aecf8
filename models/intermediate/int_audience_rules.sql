-- The rules of the audiences, typed and in words. Equal conditions have one number, however many audiences ask them, so
-- that each is looked at once.
with rules as (

    select
        trim(audience_id) as audience_id,
        trim(audience) as audience,
        step,
        coalesce(is_excluded, false) as is_excluded,
        trim(kind) as kind,
        coalesce(trim(field), '') as field,
        trim(operator) as operator,
        trim(value) as stated_value,
        lower(trim(value)) as value,
        trim(value_to) as value_to,
        coalesce(at_least, 1) as at_least,
        ago_from,
        ago_to,
        case when ago_from is not null or ago_to is not null then ago_unit end as ago_unit
    from {{ ref('audience_rules') }}

),

{% set parts = ['kind', 'field', 'operator', 'value', 'value_to', 'at_least', 'ago_from', 'ago_to', 'ago_unit'] -%}
numbered as (

    select
        *,
        dense_rank() over (order by {{ parts | join(' nulls last, ') }} nulls last) as condition_number
    from rules

),

labels as (

    select
        audience_id,
        max(audience) as audience
    from rules
    group by audience_id

),

final as (

    select
        numbered.audience_id,
        numbered.audience,
        numbered.step,
        numbered.is_excluded,
        numbered.condition_number,
        numbered.kind,
        numbered.field,
        numbered.operator,
        numbered.value,
        case when numbered.kind = 'audience' then numbered.stated_value end as nested_audience_id,
        case
            when numbered.kind = 'number' and numbered.operator in ('is', 'at least', 'between')
                then try_cast(numbered.value as double)
        end as number_from,
        case
            when numbered.kind = 'number' and numbered.operator = 'between' then try_cast(numbered.value_to as double)
            when numbered.kind = 'number' and numbered.operator in ('is', 'at most')
                then try_cast(numbered.value as double)
        end as number_to,
        numbered.at_least,
        numbered.ago_from,
        numbered.ago_to,
        numbered.ago_unit,
        case numbered.kind
            when 'attribute' then ''
            when 'number' then ''
            when 'audience' then 'in '
            else numbered.kind
        end
        || case
            when numbered.field = '' then ''
            when numbered.kind in ('attribute', 'number') then numbered.field
            else ' ' || numbered.field
        end
        || case
            when numbered.kind = 'audience' then coalesce(labels.audience, numbered.stated_value)
            else coalesce(' ' || numbered.operator || ' ' || numbered.stated_value, '')
        end
        || coalesce(' and ' || numbered.value_to, '')
        || case
            when numbered.at_least > 1
                then ', at least ' || cast(numbered.at_least as {{ dbt.type_string() }}) || ' times'
            else ''
        end
        || case
            when numbered.ago_unit is null then ''
            when numbered.ago_to is null
                then
                    ', ' || cast(numbered.ago_from as {{ dbt.type_string() }}) || ' ' || numbered.ago_unit
                    || ' ago or longer'
            else
                ', ' || cast(coalesce(numbered.ago_from, 0) as {{ dbt.type_string() }}) || ' to '
                || cast(numbered.ago_to as {{ dbt.type_string() }}) || ' ' || numbered.ago_unit || ' ago'
        end as condition
    from numbered
    left join labels on numbered.kind = 'audience' and numbered.stated_value = labels.audience_id

)

select * from final
