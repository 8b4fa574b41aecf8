{# Purpose: is this fit one that scores? The family is the one chosen by the variable, and the data support it. A
   macro-segment's own fit has to support the spend model too, and to have foretold the time after the split better than
   the pooled one. #}
{% macro ltv_fit_is_used() -%}
    {%- if var('ltv_family') not in ('bg', 'mbg') -%}
        {{ exceptions.raise_compiler_error(
            "ltv_family is '" ~ var('ltv_family') ~ "': set it to mbg or bg in dbt_project.yml"
        ) }}
    {%- endif -%}
    (
        family = '{{ var('ltv_family') }}' and fit_status = 'ok'
        and (scope = 'pooled' or (spend_fit_status = 'ok' and coalesce(split_gain, 0.0) > 0.0))
    )
{%- endmacro %}

{# Purpose: names of the columns of a lower triangle over the parameters of the purchase and of the spend model.
   Usage: prefix `cov` (covariance of the logarithms) or `step` (its Cholesky factor). Output: a list. #}
{% macro ltv_triangle_columns(prefix) -%}
    {%- set names = [] -%}
    {%- for parameters in [ltv_order_parameters(), ltv_spend_parameters()] -%}
        {%- for row in parameters -%}
            {%- for column in parameters[:loop.index] -%}
                {%- do names.append(prefix ~ '_' ~ row ~ '_' ~ column) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(names) }}
{%- endmacro %}

