-- Without its threshold an attribute would be unknown throughout, without a word; a threshold that no model reads would
-- be a knob that moves nothing.
{% set calls = [] -%}
{% if execute -%}
    {% for node in graph.nodes.values() if node.resource_type == 'model' -%}
        {% for call in modules.re.findall("threshold[(]'(\\w+)', '(\\w+)'[)]", node.raw_code) -%}
            {% do calls.append(call) if call not in calls -%}
        {% endfor -%}
    {% endfor -%}
{% endif -%}
with thresholds as (

    select * from {{ ref('thresholds') }}

),

reads as (

    {% for attribute, threshold in calls -%}
    select '{{ attribute }}' as attribute, '{{ threshold }}' as threshold
    union all
    {% endfor -%}
    select cast(null as {{ dbt.type_string() }}) as attribute, cast(null as {{ dbt.type_string() }}) as threshold

)

select
    'read by a model, not in the seed' as fault,
    reads.attribute,
    reads.threshold
from reads
anti join thresholds on reads.attribute = thresholds.attribute and reads.threshold = thresholds.threshold
where reads.attribute is not null
union all
select
    'in the seed, read by no model' as fault,
    thresholds.attribute,
    thresholds.threshold
from thresholds
anti join reads on thresholds.attribute = reads.attribute and thresholds.threshold = reads.threshold
