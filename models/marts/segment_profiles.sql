-- How much the macro-segment's own share weighs: in expected customers for the lift, in customers for the test.
{% set lift_prior, test_prior = 5, 50 -%}
with pairs as (

    select * from {{ ref('micro_profile_pairs') }}

),

-- y of n in the segment, macro_y of macro_n in the macro-segment.
shares as (

    select
        *,
        customers between 1 and {{ var('smallest_cell') - 1 }} as is_too_small,
        case when dimension in ('category', 'brand', 'product') then dimension else 'attribute' end as family,
        cast(customers as double) as y,
        cast(customers_known as double) as n,
        cast(macro_customers as double) as macro_y,
        cast(macro_customers_known as double) as macro_n,
        cast(macro_customers as double) / macro_customers_known as macro_share
    from pairs

),

-- The share in the segment, and in the rest of its macro-segment, both drawn towards the macro-segment's.
shrunken as (

    select
        *,
        n + {{ lift_prior }} / macro_share as weight,
        macro_n - n + {{ lift_prior }} / macro_share as rest_weight,
        (y + {{ lift_prior }}) / (n + {{ lift_prior }} / macro_share) as shrunken_share,
        (macro_y - y + {{ lift_prior }}) / (macro_n - n + {{ lift_prior }} / macro_share) as rest_share,
        y + {{ test_prior }} * macro_share as u,
        n + {{ test_prior }} as u_of,
        macro_y - y + {{ test_prior }} * macro_share as v,
        macro_n - n + {{ test_prior }} as v_of
    from shares

),

estimated as (

    select
        *,
        shrunken_share / macro_share as lift,
        -- The segment is a part of what it is compared with, so its own error counts in both, and the rest's in one.
        sqrt(
            pow(1 / shrunken_share - n / macro_n / macro_share, 2) * shrunken_share * (1 - shrunken_share) / weight
            + pow((1 - n / macro_n) / macro_share, 2) * rest_share * (1 - rest_share) / rest_weight
        ) as log_lift_error
    from shrunken

),

tested as (

    select
        *,
        case when not is_too_small and macro_customers < macro_customers_known then {{ normal_two_sided(
            '((ln(u / (u_of - u)) - ln(v / (v_of - v))) / sqrt(1 / u + 1 / (u_of - u) + 1 / v + 1 / (v_of - v)))'
        ) }} end as p_value
    from estimated

),

ranked as (

    select
        *,
        count(p_value) over (partition by micro_segment_id, family) as tests,
        row_number() over (
            partition by micro_segment_id, family order by p_value nulls last, dimension, dimension_value nulls last
        ) as p_rank
    from tested

),

-- Benjamini and Hochberg: of the values with q below 0.05, a twentieth is expected to be there by chance.
gated as (

    select
        *,
        least(1.0, min(p_value * tests / p_rank) over no_likelier) as q_value_if_tested
    from ranked
    window no_likelier as (
        partition by micro_segment_id, family
        order by p_rank nulls last rows between current row and unbounded following
    )

),

distinctive as (

    select
        *,
        case when p_value is not null then q_value_if_tested end as q_value,
        coalesce(p_value is not null and q_value_if_tested < 0.05, false) as is_distinctive,
        case when y > 0 then y / n * ln(y / n / macro_share) else 0 end as divergence
    from gated

),

final as (

    select
        micro_segment_id,
        micro_segment,
        macro_segment,
        dimension,
        dimension_value,
        case when not is_too_small then customers end as customers,
        case when not is_too_small then round(y / n, 6) end as share,
        round(macro_share, 6) as macro_share,
        case when not is_too_small then round(lift, 6) end as lift,
        case when not is_too_small then round(lift * exp(-1.959964 * log_lift_error), 6) end as lift_low,
        case when not is_too_small then round(lift * exp(1.959964 * log_lift_error), 6) end as lift_high,
        round(q_value, 6) as q_value,
        is_distinctive,
        case when is_distinctive then cast(row_number() over most_telling as integer) end as profile_rank,
        is_inferred,
        is_too_small
    from distinctive
    -- There are too many products to list more than what tells segments apart.
    where is_distinctive or dimension <> 'product'
    window most_telling as (
        partition by micro_segment_id, is_distinctive
        order by divergence desc nulls last, dimension nulls last, dimension_value nulls last
    )

)

select * from final
