{# Purpose: whole years between two dates, as an age is counted.
   Usage: full_years('birth_date', 'snapshot_date')
   Output: integer; null where either date is. #}
{% macro full_years(first_date, last_date) -%}
    cast(
        extract(year from {{ last_date }}) - extract(year from {{ first_date }})
        - case
            when
                extract(month from {{ last_date }}) * 100 + extract(day from {{ last_date }})
                < extract(month from {{ first_date }}) * 100 + extract(day from {{ first_date }})
                then 1
            else 0
        end as integer
    )
{%- endmacro %}
