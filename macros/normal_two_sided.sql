{# Purpose: how likely a standard normal variable is to lie as far from zero as z, or farther: the p-value of a two-sided
   test. Neither engine has the normal distribution.
   Usage: normal_two_sided('z')
   Output: double between 0 and 1. The complementary error function by a Chebyshev fit (Press et al., Numerical Recipes,
   `erfcc`); its relative error is below 1.2e-7 everywhere, also far out, where p-values matter. #}
{% macro normal_two_sided(z) -%}
    {%- set x = '(abs(' ~ z ~ ') / sqrt(2.0))' -%}
    {%- set t = '(1.0 / (1.0 + 0.5 * ' ~ x ~ '))' -%}
    {%- set horner = namespace(sum='0.17087277') -%}
    {%- for coefficient in [
        -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223,
    ] -%}
        {%- set horner.sum = '(' ~ coefficient ~ ' + ' ~ t ~ ' * ' ~ horner.sum ~ ')' -%}
    {%- endfor -%}
    ({{ t }} * exp({{ horner.sum }} - {{ x }} * {{ x }}))
{%- endmacro %}
