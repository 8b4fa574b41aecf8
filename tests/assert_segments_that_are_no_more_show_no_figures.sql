-- A segment that has become too small is no segment any more: nothing is said of the few who would be in it.
{% for segments in ['micro_segments', 'macro_segments'] -%}
select
    '{{ segments }}' as segments,
    macro_segment,
    customers
from {{ ref(segments) }}
where
    not is_current
    and (
        customers <> 0
        or buyers <> 0
        or net_revenue_365d <> 0
        {%- for days in ltv_horizons() %}
        or expected_orders_{{ days }}d is not null
        or predicted_ltv_{{ days }}d is not null
        or predicted_ltv_{{ days }}d_low is not null
        or predicted_ltv_{{ days }}d_high is not null
        {%- endfor %}
    )
{{ 'union all' if not loop.last }}
{% endfor %}
