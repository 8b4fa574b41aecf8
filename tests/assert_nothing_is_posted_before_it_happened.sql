-- Closed books can't know the future: whatever the clocks of senders say, no fact's day is later than its posting
-- date.
{% for facts in [
    'int_order_entries', 'int_order_line_entries', 'int_actor_days', 'int_product_interest_days', 'int_session_entries',
] -%}
select
    '{{ facts }}' as facts,
    received_date,
    event_date
from {{ ref(facts) }}
where event_date > received_date and {{ in_window('received_date') }}
{{ 'union all' if not loop.last }}
{% endfor %}
