{# How sure a predicted value is, from columns of ltv_value_estimates. Three errors, each independent of the others:

   process error      what customers do by chance: independent of each other, so variances add up
   parameter error    what a fit got wrong: common to all customers that it scores. A shift is the change of the value, in
                      money, when the parameters move by one standard error along one of seven independent directions
                      (columns of the Cholesky factor of their covariance): shifts of one fit add up, and are squared then
   model error        what the model gets wrong whatever its parameters: measured by the back-test, a share of the value #}

{# Purpose: the directions along which parameters move: four of the purchase model, three of the spend model. #}
{% macro ltv_directions() %}{{ return([1, 2, 3, 4, 5, 6, 7]) }}{% endmacro %}

{# Purpose: the parameters of the purchase and of the spend model, in the order of their directions. #}
{% macro ltv_order_parameters() %}{{ return(['r', 'alpha', 'a', 'b']) }}{% endmacro %}
{% macro ltv_spend_parameters() %}{{ return(['p', 'q', 'gamma']) }}{% endmacro %}

{# Purpose: what one step along a direction adds, from what each parameter adds.
   Usage: ltv_shift('by_', 'fits.step_', ltv_order_parameters(), 'a')
   Output: a sum of products. Steps are a lower triangle: parameters before the direction's own do not move. #}
{% macro ltv_shift(by, step, parameters, direction) -%}
    (
        {%- for name in parameters[parameters.index(direction):] %}
        {{ '+ ' if not loop.first }}{{ by }}{{ name }} * {{ step }}{{ name }}_{{ direction }}
        {%- endfor %}
    )
{%- endmacro %}

{# Purpose: a bound of the 95 % interval of a value. A value is never negative.
   Usage: ltv_bound('-', 'predicted_ltv', 'standard_error', 'model_error'); a model error of null counts as none.
   Output: decimal(18, 2); null where the value is. #}
{% macro ltv_bound(sign, value, standard_error, model_error) -%}
    case
        when {{ value }} is not null
            then cast(round(
                greatest(
                    0.0,
                    cast({{ value }} as double) {{ sign }} 1.959964 * sqrt(
                        pow(cast({{ standard_error }} as double), 2)
                        + pow(coalesce(cast({{ model_error }} as double), 0.0) * cast({{ value }} as double), 2)
                    )
                ),
                2
            ) as decimal(18, 2))
    end
{%- endmacro %}
