-- Each customer's macro-segment: the matching rule with the lowest priority number. A blank in a rule matches anything.
{% set dimensions = macro_dimensions() -%}
with attributes as (

    select * from {{ ref('macro_attributes') }}
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
    inner join rules on {{ macro_rule_matches('rules', 'kinds') }}
    qualify
        row_number() over (
            partition by
                kinds.{{ dimensions | join(', kinds.') }}
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
            attributes.{{ dimensions[0] }} = matched.{{ dimensions[0] }}
            {%- for dimension in dimensions[1:] %}
            and attributes.{{ dimension }} = matched.{{ dimension }}
            {%- endfor %}

)

select * from final
