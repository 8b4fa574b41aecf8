{# Purpose: the bands that numbers lie in, by seeds/rules/bands.csv, or by quantile_bands.csv for ranks between 0 and 1.
   Usage: from measured {{ join_bands({'visits_band': 'measured.sessions_90d'}) }} -- attribute: number; then
   visits_band_bands.band is the band, null where the number is null or lies in no band. #}
{% macro join_bands(numbers, seed='bands') -%}
    {%- set bound = 'value' if seed == 'bands' else 'share' -%}
    {%- for attribute, number in numbers.items() %}
    left join {{ ref(seed) }} as {{ attribute }}_bands
        on
            {{ attribute }}_bands.attribute = '{{ attribute }}'
            and {{ number }} >= {{ attribute }}_bands.from_{{ bound }}
            and {{ number }} < {{ attribute }}_bands.below_{{ bound }}
    {%- endfor %}
{%- endmacro %}
