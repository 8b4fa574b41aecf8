-- What is not known of a customer is the value `unknown`: a null would drop the customer from the tree of segments.
select
    snapshot_date,
    customer_id
from {{ ref('micro_attributes') }}
where
    {{ written_by_this_run('snapshot_date') }}
    and (
        {% for attribute in attribute_columns() -%}
        {{ attribute }} is null
        {{ 'or ' if not loop.last }}
        {%- endfor %}
    )
