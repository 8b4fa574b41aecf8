{# None of the columns is ever null; `within` as in unique_combination. #}
{% test never_null(model, columns, within=none) %}
select {{ columns | join(', ') }}
from {{ model }}
where
    ({{ columns | join(' is null or ') }} is null)
    {{ 'and ' ~ written_by_this_run(within) if within }}
{% endtest %}
