-- depends_on: {{ source('raw', 'manifest') }}
with manifest as (

    {{ read_json_lines(var('manifest_path'), [
        'file', 'path', 'format', 'open_date', 'first_seen_at', 'first_received_date', 'last_received_date',
    ]) }}

),

final as (

    select
        file,
        path,
        format,
        cast(open_date as date) as open_date,
        cast(first_seen_at as timestamp) as first_seen_at,
        cast(first_received_date as date) as first_received_date,
        cast(last_received_date as date) as last_received_date
    from manifest

)

select * from final
