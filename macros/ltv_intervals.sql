{# Intervals (95 %) of predicted_ltv_365d, from columns of ltv_customer_snapshots.

   A total over customers has variance = sum(variance) + sum over 7 directions of (sum(shift))^2: what customers do is
   independent of each other (process error: variances add), what the fit got wrong is common to all of them (parameter
   error: shifts add, and are squared then). A shift is the change of the value, in money, when the parameters move by
   one standard error along one direction of the Cholesky factor of their covariance; the directions are independent.
   Valid for customers scored by one fit: one snapshot, one scope. #}
{% macro ltv_interval_bound(total, variance, shifts, sign) -%}
    cast(round(
        greatest(
            0.0,
            cast({{ total }} as double) {{ sign }} 1.959964 * sqrt(
                cast({{ variance }} as double)
                {%- for shift in shifts %}
                + pow(cast({{ shift }} as double), 2)
                {%- endfor %}
            )
        ),
        2
    ) as decimal(18, 2))
{%- endmacro %}

{% macro ltv_bound_of(sign, is_segment, relation) -%}
    {%- set prefix = (relation ~ '.' if relation else '') ~ 'predicted_ltv_365d' -%}
    {%- set opening = 'sum(' if is_segment else '' -%}
    {%- set closing = ')' if is_segment else '' -%}
    {%- set shifts = [] -%}
    {%- for direction in range(1, 8) -%}
        {%- do shifts.append(opening ~ prefix ~ '_shift_' ~ direction ~ closing) -%}
    {%- endfor -%}
    case
        when {{ opening }}{{ prefix }}{{ closing }} is not null
            then
                {{ ltv_interval_bound(
                    opening ~ prefix ~ closing, opening ~ prefix ~ '_variance' ~ closing, shifts, sign
                ) }}
    end
{%- endmacro %}

{# Purpose: the bounds for one customer (a predictive interval of what that customer will be worth).
   Usage: in a select from ltv_customer_snapshots; `relation` qualifies the columns. Output: decimal(18, 2) or null. #}
{% macro customer_interval_low(relation=none) %}{{ ltv_bound_of('-', false, relation) }}{% endmacro %}
{% macro customer_interval_high(relation=none) %}{{ ltv_bound_of('+', false, relation) }}{% endmacro %}

{# Purpose: the bounds for a group of customers. Usage: in a `group by` over customers of one snapshot.
   Output: decimal(18, 2), null where nobody in the group has a value. #}
{% macro segment_interval_low(relation=none) %}{{ ltv_bound_of('-', true, relation) }}{% endmacro %}
{% macro segment_interval_high(relation=none) %}{{ ltv_bound_of('+', true, relation) }}{% endmacro %}
