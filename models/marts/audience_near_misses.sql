with steps as (

    select * from {{ ref('micro_audience_steps') }}

),

matches as (

    select * from {{ ref('micro_audience_matches') }}
    where snapshot_date = {{ as_of() }} and not is_member and matched_bits <> 0

),

final as (

    select
        matches.audience_id,
        matches.customer_id,
        steps.step,
        steps.rule
    from matches
    inner join steps
        on
            matches.audience_id = steps.audience_id
            and (matches.matched_bits & (steps.all_bits - steps.step_bit))
            = (steps.wanted_bits & (steps.all_bits - steps.step_bit))

)

select * from final
