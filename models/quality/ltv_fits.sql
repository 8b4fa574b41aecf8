with parameter_fits as (
    select * from {{ ref('ltv_parameter_fits') }}
),

final as (
    select
        *,
        {{ ltv_fit_is_used() }} as is_used,
        case
            when family <> '{{ var('ltv_family') }}' then 'the variable ltv_family is {{ var('ltv_family') }}'
            when scope <> 'pooled' and (fit_status <> 'ok' or spend_fit_status <> 'ok')
                then 'flagged: the pooled fit scores'
            when scope <> 'pooled' and split_gain is null
                then 'not tried on held-out time (six months before, no usable fit): the pooled fit scores'
            when scope <> 'pooled' and split_gain <= 0
                then 'foretold the last six months worse than the pooled fit, which scores'
            when scope <> 'pooled'
                then 'foretold the last six months better than the pooled fit: scores until the next month-end'
            when fit_status <> 'ok' then 'flagged: the last usable fit scores, or a plain estimate where there is none'
            when spend_fit_status <> 'ok' then 'scores the orders until the next usable fit; spend is a plain estimate'
            else 'scores until the next usable fit'
        end as is_used_reason
    from parameter_fits
)

select
    scope,
    macro_segment,
    cutoff_date,
    family,
    r,
    alpha,
    a,
    b,
    p,
    q,
    gamma,
    log_likelihood,
    spend_log_likelihood,
    split_gain,
    fit_status,
    spend_fit_status,
    is_used,
    is_used_reason,
    se_r,
    se_alpha,
    se_a,
    se_b,
    se_p,
    se_q,
    se_gamma,
    {%- for name in ltv_triangle_columns('cov') %}
    {{ name }},
    {%- endfor %}
    customers,
    repeat_buyers,
    spend_repeat_buyers,
    frequency_cap,
    customers_set_aside
from final
