-- Each customer's macro-segment: the matching rule with the lowest priority number. A blank in a rule matches anything.
{% set dimensions = ['customer_type', 'region', 'country', 'age_band', 'industry', 'company_size_band'] -%}
with attributes as (

    select * from {{ ref('int_attribute_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

rules as (

    select * from {{ ref('macro_segment_rules') }}

),

-- Customers are few in kind: each combination of values is matched once.
kinds as (

    select distinct
        {{ dimensions | join(', ') }}
    from attributes

),

matched as (

    select
        {% for dimension in dimensions -%}
        kinds.{{ dimension }},
        {% endfor -%}
        rules.macro_segment,
        rules.priority
    from kinds
    inner join rules
        on
            {% for dimension in dimensions -%}
            {{ 'and ' if not loop.first }}(rules.{{ dimension }} is null or rules.{{ dimension }} = kinds.{{ dimension }})
            {% endfor %}
    qualify
        row_number() over (
            partition by {% for dimension in dimensions %}kinds.{{ dimension }}{{ ', ' if not loop.last }}{% endfor %}
            order by rules.priority nulls last, rules.macro_segment nulls last
        ) = 1

),

final as (

    select
        attributes.snapshot_date,
        attributes.customer_id,
        matched.macro_segment,
        matched.priority as rule_priority
    from attributes
    inner join matched
        on
            {% for dimension in dimensions -%}
            {{ 'and ' if not loop.first }}attributes.{{ dimension }} = matched.{{ dimension }}
            {% endfor %}
)

select * from final
