-- Customers counted by all that layers see of them, whatever the tree makes of it. There are few combinations, so trees
-- are grown on these counts, and look back on those of earlier month-ends without touching customers again.
{% set values = [] -%}
{% for layer in layer_numbers() %}{% do values.append('value_' ~ layer) %}{% endfor -%}
with layer_values as (

    select * from {{ ref('micro_layer_values') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

final as (

    select
        snapshot_date,
        macro_segment,
        layer_set,
        {{ values | join(', ') }},
        count(*) as customers
    from layer_values
    group by snapshot_date, macro_segment, layer_set, {{ values | join(', ') }}

)

select * from final
