{# The horizons of every prediction, in days, ascending; 365 is the one that intervals are made for. #}
{% macro ltv_horizons() %}{{ return([90, 180, 365, 1095]) }}{% endmacro %}

{# Purpose: the discount rate of a week, from the annual one. Output: a number, 0 when nothing is discounted. #}
{% macro ltv_weekly_discount() -%}
    (ln(1.0 + cast({{ var('ltv_annual_discount_rate') }} as double)) / (365.25 / 7.0))
{%- endmacro %}

{# Purpose: ln(1 + e^v), for any v. #}
{% macro softplus(v) -%}
    (greatest({{ v }}, 0.0) + ln(1.0 + exp(-abs({{ v }}))))
{%- endmacro %}

{# Purpose: 1 / (1 + e^v), for any v. #}
{% macro one_minus_sigmoid(v) -%}
    (case when {{ v }} > 0.0 then exp(-abs({{ v }})) else 1.0 end / (1.0 + exp(-abs({{ v }}))))
{%- endmacro %}

{# Purpose: purchases expected over a horizon from a customer who is alive and leaves after each with probability p:
   (1 - (1 + p tau)^-n) / p, written with tanh so that nothing cancels, however small p is.
   Usage: n = r + x, log_growth = ln(1 + p tau), tau = horizon / (alpha + T). #}
{% macro ltv_orders_given_p(p, n, log_growth) -%}
    {%- set h -%} tanh({{ n }} * {{ log_growth }} / 2.0) {%- endset -%}
    (2.0 * {{ h }} / ((1.0 + {{ h }}) * {{ p }}))
{%- endmacro %}

{# Purpose: Gauss-Legendre nodes and weights on [0, 1]. Output: a list of [node, weight].
   8 nodes between two horizons keep the discounted orders within 1e-9 for any x that fits into
   T days, alpha from a week up. #}
{% macro gauss_legendre() -%}
    {{ return([
        [0.01985507175123191, 0.05061426814518853],
        [0.10166676129318664, 0.11119051722668721],
        [0.23723379504183550, 0.15685332293894344],
        [0.40828267875217511, 0.18134189168918083],
        [0.59171732124782483, 0.18134189168918083],
        [0.76276620495816450, 0.15685332293894344],
        [0.89833323870681336, 0.11119051722668721],
        [0.98014492824876809, 0.05061426814518853]
    ]) }}
{%- endmacro %}

{# Purpose: the 128 numbers 0 to 127, one a row, the same on every engine. #}
{% macro ltv_node_numbers() -%}
    (values {% for j in range(128) %}({{ j }}){{ ', ' if not loop.last }}{% endfor %}) as numbers (node)
{%- endmacro %}

{# Purpose: the weeks of a horizon, each discounted to today: the integral of exp(-delta s). #}
{% macro ltv_discounted_weeks(days) -%}
    {%- if var('ltv_annual_discount_rate') | float == 0 -%}
        ({{ days }} / cast(7.0 as double))
    {%- else -%}
        ((1.0 - exp(-{{ ltv_weekly_discount() }} * {{ days }} / 7.0)) / {{ ltv_weekly_discount() }})
    {%- endif -%}
{%- endmacro %}
