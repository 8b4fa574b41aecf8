-- The layers of each base: its own where it has any, else those of `*`.
{{ config(materialized='table') }}

with bases as (

    select distinct base
    from {{ ref('micro_bases') }}
    where base is not null

),

layers as (

    select * from {{ ref('micro_segment_layers') }}
    where layer > 0

),

attributes as (

    select * from {{ ref('attributes') }}

),

own as (

    select distinct macro_segment
    from layers

),

final as (

    select
        bases.base,
        layers.layer,
        layers.attribute,
        coalesce(' ' || attributes.label_suffix, '') as label_suffix,
        layers.min_customers
    from bases
    left join own on bases.base = own.macro_segment
    inner join layers on coalesce(own.macro_segment, '*') = layers.macro_segment
    inner join attributes on layers.attribute = attributes.attribute

)

select * from final
