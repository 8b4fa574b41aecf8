{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook={'sql': "{{ drop_stale_snapshots('cutoff_date') }}", 'transaction': false}
    )
}}
-- The hook stands outside the model's transaction, which would not see the table that the Python model has just made.
with new_parameter_fits as (
    select * from {{ ref('ltv_new_parameter_fits') }}
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
    se_r,
    se_alpha,
    se_a,
    se_b,
    se_p,
    se_q,
    se_gamma,
    {%- for name in ltv_triangle_columns('cov') + ltv_triangle_columns('step') %}
    {{ name }},
    {%- endfor %}
    log_likelihood,
    spend_log_likelihood,
    split_gain,
    customers,
    repeat_buyers,
    spend_repeat_buyers,
    frequency_cap,
    customers_set_aside,
    fit_status,
    spend_fit_status
from new_parameter_fits
