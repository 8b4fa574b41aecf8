{{ config(materialized='view') }} {#- columns of three tables side by side -#}
-- What macro-segments are drawn by, as known on each snapshot date.
{% set categories = ['geographic', 'demographic', 'firmographic'] -%}
with {% for category in categories -%}
{{ category }} as (

    select * from {{ ref('int_' ~ category ~ '_snapshots') }}

),

{% endfor -%}
final as (

    select
        geographic.snapshot_date,
        geographic.customer_id,
        {{ macro_dimensions() | join(', ') }}
    from geographic
    {% for category in categories[1:] -%}
    inner join {{ category }}
        on
            geographic.snapshot_date = {{ category }}.snapshot_date
            and geographic.customer_id = {{ category }}.customer_id
    {% endfor %}
)

select * from final
