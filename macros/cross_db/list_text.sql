{# Purpose: a list that was stated as a JSON array, or as one plain text, as a text that can be compared: its items trimmed,
   in lower case, each once, in alphabetical order, joined by a comma and a space.
   Usage: list_text('interests')
   Output: text; null where there is none, or no item. #}
{% macro list_text(column) -%}
    {{ return(adapter.dispatch('list_text', 'strata')(column)) }}
{%- endmacro %}

{% macro default__list_text(column) -%}
    nullif(array_to_string(list_sort(list_distinct(list_filter(
        list_transform(
            case
                when {{ column }} like '[%' then try(json_extract_string({{ column }}, '$[*]'))
                else [{{ column }}]
            end,
            lambda listed: trim(lower(listed))
        ),
        lambda listed: listed <> ''
    ))), ', '), '')
{%- endmacro %}

{% macro spark__list_text(column) -%}
    nullif(array_join(array_sort(array_distinct(filter(
        transform(
            case when {{ column }} like '[%' then from_json({{ column }}, 'array<string>') else array({{ column }}) end,
            listed -> trim(lower(listed))
        ),
        listed -> listed <> ''
    ))), ', '), '')
{%- endmacro %}
