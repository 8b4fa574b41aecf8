{{ config(materialized='view') }}

-- depends_on: {{ source('raw', 'manifest') }}
with keys as (

    {{ read_json_lines(var('keys_path'), ['id_key']) }}

),

final as (

    select max(id_key) as id_key
    from keys

)

select * from final
