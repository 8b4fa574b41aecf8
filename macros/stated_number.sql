{# Purpose: a number as people state it (45000, $45,000, 45k), or the ends of a range (35-44, 35-49K, 65+, under 15K).
   Usage: stated_number('income', 'from') and stated_number('income', 'to')
   Output: double. Of a number both ends are it; an open range (65+) has no `to`; both are null where the text is neither,
   or could be read in two ways (45.000). #}
{% macro stated_number(column, end) -%}
    {%- set text = "replace(replace(lower(" ~ column ~ "), ',', ''), ' ', '')" -%}
    {%- set number = '([0-9]+(?:[.][0-9]{1,2})?)(k?)' -%}
    {%- set range = "'^[^0-9a-z.-]*" ~ number ~ "(?:(?:-|–|to)[^0-9a-z.-]*" ~ number ~ ")?([^0-9]*)$'" -%}
    {%- set limit = "'^(?:under|below|lessthan|<)[^0-9a-z.-]*" ~ number ~ "[^0-9]*$'" -%}
    {%- set part -%} regexp_extract({{ text }}, {{ range }}, {%- endset -%}
    case
        when regexp_extract({{ text }}, {{ limit }}, 1) <> ''
            then
                {% if end == 'from' -%}
                0
                {%- else -%}
                try_cast(regexp_extract({{ text }}, {{ limit }}, 1) as double)
                * case when regexp_extract({{ text }}, {{ limit }}, 2) = 'k' then 1000 else 1 end - 1
                {%- endif %}
        {% if end == 'to' -%}
        when {{ part }} 3) <> ''
            then try_cast({{ part }} 3) as double) * case when {{ part }} 4) = 'k' then 1000 else 1 end
        when {{ part }} 5) like '+%' or {{ part }} 5) like '%over' or {{ part }} 5) like '%more' then null
        {% endif -%}
        when {{ part }} 1) <> ''
            then try_cast({{ part }} 1) as double) * case when 'k' in ({{ part }} 2), {{ part }} 4)) then 1000 else 1 end
    end
{%- endmacro %}
