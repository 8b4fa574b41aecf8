-- Who is in each audience, at the month-ends and at the latest snapshot.
{{ config(pre_hook="{{ drop_stale_audience_snapshots() }}") }}

with matches as (

    select * from {{ ref('micro_audience_matches') }}
    where is_member

),

final as (

    select
        snapshot_date,
        audience_id,
        customer_id
    from matches

)

select * from final
