{# Purpose: a judged message as one JSON text, as it was delivered.
   Usage: raw_message_text() -- over the columns of judge_messages
   Output: text. A line of a JSON file is kept as it is, malformed or not. #}
{% macro raw_message_text() -%}
    coalesce(raw_message, {{ json_object([
        'message_id', 'type', 'event', 'anonymous_id', 'user_id', 'previous_id', 'group_id',
        'happened_at_text', 'received_at_text', 'raw_properties', 'raw_traits', 'raw_context',
    ]) }})
{%- endmacro %}
