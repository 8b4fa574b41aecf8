-- The last rule is blank, so that everybody is in a macro-segment, and only the last, since no rule after a blank one
-- is ever reached. A rule for a value that doesn't exist would match nobody without a word.
with rules as (

    select
        *,
        coalesce({{ macro_dimensions() | join(', ') }}) is null as is_blank,
        priority = max(priority) over () as is_last
    from {{ ref('macro_segment_rules') }}

)

select
    'blank rule that is not the last, or last rule that is not blank' as fault,
    macro_segment
from rules
where is_blank <> is_last
union all
select
    'no rules at all' as fault,
    '' as macro_segment
from rules
having count(*) = 0
union all
select
    'name that is taken' as fault,
    macro_segment
from rules
where macro_segment in ('*', 'All customers', 'Other customers')
union all
select
    'customer_type is neither b2b nor b2c' as fault,
    macro_segment
from rules
where customer_type not in ('b2b', 'b2c')
union all
select
    'urbanicity is neither urban, suburban, rural nor unknown' as fault,
    macro_segment
from rules
where urbanicity not in ('urban', 'suburban', 'rural', 'unknown')
{%- for dimension, seed, column, condition in [
    ('region', 'countries', 'region', 'true'),
    ('country', 'countries', 'country_code', 'true'),
    ('age_band', 'bands', 'band', "known.attribute = 'age_band'"),
    ('company_size_band', 'bands', 'band', "known.attribute = 'company_size_band'"),
    ('income_band', 'bands', 'band', "known.attribute = 'income_band'"),
    ('life_stage', 'life_stages', 'life_stage', 'true'),
] %}
union all
select
    'unknown {{ dimension }}' as fault,
    rules.macro_segment
from rules
anti join {{ ref(seed) }} as known on rules.{{ dimension }} = known.{{ column }} and {{ condition }}
where rules.{{ dimension }} is not null and rules.{{ dimension }} <> 'unknown'
{%- endfor %}
