-- People who fit the same steps are counted once; every figure is a sum over these counts. Who fits no step at all has
-- no match: what is left of all customers.
with steps as (

    select * from {{ ref('micro_audience_steps') }}

),

matches as (

    select * from {{ ref('micro_audience_matches') }}
    where snapshot_date = {{ as_of() }}

),

everybody as (

    select count(*) as customers
    from {{ ref('customers') }}

),

minimum as (

    select min_customers
    from {{ ref('micro_segment_layers') }}
    where macro_segment = '*' and layer = 0

),

patterns as (

    select
        audience_id,
        matched_bits,
        count(*) as customers
    from matches
    group by audience_id, matched_bits

),

all_patterns as (

    select
        audience_id,
        matched_bits,
        customers
    from patterns
    union all
    select
        audiences.audience_id,
        0 as matched_bits,
        everybody.customers - coalesce(sum(patterns.customers), 0) as customers
    from (select distinct audience_id from steps) as audiences
    cross join everybody
    left join patterns on audiences.audience_id = patterns.audience_id
    group by audiences.audience_id, everybody.customers

),

-- Somebody passes a set of steps where, among their bits, those that fit are those that are wanted.
counted as (

    select
        {% for count, bits in [
            ('customers_after', '(2 * steps.step_bit - 1)'),
            ('customers_alone', 'steps.step_bit'),
            ('customers_without', '(steps.all_bits - steps.step_bit)'),
        ] -%}
        cast(sum(case
            when (patterns.matched_bits & {{ bits }}) = (steps.wanted_bits & {{ bits }}) then patterns.customers
            else 0
        end) as bigint) as {{ count }},
        {% endfor -%}
        steps.audience_id,
        steps.step,
        steps.is_excluded,
        steps.rule
    from steps
    inner join all_patterns as patterns on steps.audience_id = patterns.audience_id
    group by steps.audience_id, steps.step, steps.is_excluded, steps.rule

),

final as (

    select
        counted.audience_id,
        counted.step,
        counted.is_excluded,
        counted.rule,
        counted.customers_after,
        counted.customers_alone,
        counted.customers_without,
        least(counted.customers_after, counted.customers_alone, counted.customers_without)
        < minimum.min_customers as is_too_small
    from counted
    cross join minimum

)

select * from final
