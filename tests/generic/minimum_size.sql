{# No group that is shown has fewer customers than the least that any layer may leave in a segment; or, with `minimum`,
   fewer than that. `shown`: a condition on the rows that show a group's size. #}
{% test minimum_size(model, minimum=none, shown='true') %}
select customers
from {{ model }}
where
    {{ shown }}
    and customers < {{ minimum or '(select min(min_customers) from ' ~ ref('micro_segment_layers') ~ ')' }}
{% endtest %}
