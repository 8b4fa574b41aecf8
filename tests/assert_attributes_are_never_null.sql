-- Unknown is a value of its own: layers count it, rules can name it.
select
    snapshot_date,
    customer_id
from {{ ref('micro_attributes') }}
where
    {{ written_by_this_run('snapshot_date') }}
    and (
        {% for attribute in attribute_columns() -%}
        {{ attribute }} is null {{ 'or' if not loop.last }}
        {% endfor %}
    )
