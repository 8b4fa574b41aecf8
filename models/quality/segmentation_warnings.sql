with rule_counts as (

    select * from {{ ref('macro_rule_counts') }}

),

value_counts as (

    select * from {{ ref('macro_value_counts') }}

),

bases as (

    select * from {{ ref('micro_bases') }}
    where snapshot_date = {{ as_of() }} and base is not null

),

layers as (

    select * from {{ ref('micro_layers') }}

),

splits as (

    select * from {{ ref('micro_splits') }}
    where snapshot_date = {{ as_of() }} and is_split

),

latest_quality as (

    select * from {{ ref('segmentation_quality') }}
    where explained_variance is not null
    qualify row_number() over (order by is_spend_window_complete desc nulls last, snapshot_date desc nulls last) = 1

),

missing as (

    select
        first_priority as priority,
        {{ sorted_text("attribute || ' = ' || value", ' and ') }} as conditions
    from value_counts
    where customers = 0
    group by first_priority

),

warnings as (

    select
        'rule takes nobody' as warning,
        'macro_segment_rules' as rules_file,
        rule_counts.priority as rule_number,
        rule_counts.macro_segment,
        cast(null as {{ dbt.type_string() }}) as attribute,
        cast(null as {{ dbt.type_string() }}) as value,
        rule_counts.customers,
        case
            when missing.conditions is not null then 'Nobody has ' || missing.conditions || '.'
            when rule_counts.customers = 0 then 'Nobody meets all its conditions.'
            else 'Rules with a lower priority number take all whom it matches.'
        end as explanation
    from rule_counts
    left join missing on rule_counts.priority = missing.priority
    where rule_counts.customers_taken = 0
    union all
    select
        'value that no rule knows' as warning,
        'macro_segment_rules' as rules_file,
        null as rule_number,
        null as macro_segment,
        attribute,
        value,
        customers_left_over as customers,
        'Rules name other values of the attribute; only the last rule takes these customers.' as explanation
    from value_counts
    where is_attribute_named and not is_named and customers_left_over > 0 and value <> 'unknown'
    union all
    select
        'macro-segment is too small to be shown' as warning,
        'micro_segment_layers' as rules_file,
        0 as rule_number,
        macro_segment,
        null as attribute,
        null as value,
        customers,
        'Its customers are shown as ' || base || '.' as explanation
    from bases
    where customers > 0 and base <> macro_segment
    union all
    select
        'layers of a macro-segment that is not shown' as warning,
        'micro_segment_layers' as rules_file,
        null as rule_number,
        layers.layer_set as macro_segment,
        null as attribute,
        null as value,
        0 as customers,
        'The macro-segment has no customers, or too few.' as explanation
    from layers
    anti join bases on layers.layer_set = bases.base
    where layers.layer_set <> '*' and layers.layer = 1
    union all
    select
        'layer splits nothing' as warning,
        'micro_segment_layers' as rules_file,
        layers.layer as rule_number,
        layers.layer_set as macro_segment,
        layers.attribute,
        null as value,
        0 as customers,
        'In no segment are there two groups by it that are large enough.' as explanation
    from layers
    semi join bases on layers.layer_set = bases.layer_set
    anti join splits on layers.layer_set = splits.layer_set and layers.layer = splits.layer
    union all
    select
        'segments explain less than RFM groups' as warning,
        'micro_segment_layers' as rules_file,
        null as rule_number,
        null as macro_segment,
        null as attribute,
        null as value,
        customers,
        'Of later spend, as segmentation_quality has it; `make propose-layers` proposes better layers.' as explanation
    from latest_quality
    where is_below_rfm

),

final as (

    select
        warning,
        rules_file,
        cast(rule_number as integer) as rule_number,
        macro_segment,
        attribute,
        value,
        cast(customers as bigint) as customers,
        explanation
    from warnings

)

select * from final
