-- The layers by set: a macro-segment's own, or `*` for all that have none of their own. They are numbered in their
-- order, so that the numbers in the seed mean nothing else.
{{ config(materialized='table') }}

with layers as (

    select * from {{ ref('micro_segment_layers') }}
    where layer > 0

),

attributes as (

    select * from {{ ref('attributes') }}

),

final as (

    select
        layers.macro_segment as layer_set,
        cast(row_number() over (
            partition by layers.macro_segment order by layers.layer nulls last, layers.attribute nulls last
        ) as integer) as layer,
        layers.attribute,
        coalesce(' ' || attributes.label_suffix, '') as label_suffix,
        layers.min_customers
    from layers
    inner join attributes on layers.attribute = attributes.attribute

)

select * from final
