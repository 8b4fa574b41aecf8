{# Each combination of values of `columns` occurs once; none of them is ever null, nor is any of `not_null`. With
   `within` (received_date or snapshot_date) only the partitions that this run wrote are looked at: for tables whose key
   holds that column. #}
{% test unique_combination(model, columns, not_null=[], within=none) %}
select
    {{ columns | join(', ') }},
    count(*) as copies
from {{ model }}
{{ 'where ' ~ written_by_this_run(within) if within }}
group by {{ columns | join(', ') }}
having count(*) > 1 or count_if({{ (columns + not_null) | join(' is null or ') }} is null) > 0
{% endtest %}
