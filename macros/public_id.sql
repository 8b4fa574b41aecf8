{# Purpose: an id that may be shown. An id that is itself an e-mail address or a telephone number is personal data: a keyed
   hash takes its place. (A number counts as a telephone number when it is written like one: with a + or a bracket first.)
   Usage: public_id('customer_id')
   Output: text. #}
{% macro public_id(column) -%}
    case
        when {{ column }} like '%@%' or {{ column }} like '+%' or {{ column }} like '(%'
            then 'id-' || {{ dbt.hash("(select id_key from " ~ ref('stg_id_key') ~ ") || '|' || " ~ column) }}
        else {{ column }}
    end
{%- endmacro %}
