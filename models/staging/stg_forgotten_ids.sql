-- depends_on: {{ source('raw', 'manifest') }}
with forgotten as (

    {{ read_json_lines(var('forgotten_path'), ['id_hash']) }}

),

final as (

    select id_hash
    from forgotten

)

select * from final
