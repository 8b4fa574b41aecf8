-- Where a chain of aliases ends, as known on each snapshot date: followed for up to 16 hops by doubling the stride four
-- times. A chain that has not ended by then runs in a circle and ends at its least id.
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

hops_1 as (

    select
        snapshot_dates.snapshot_date,
        aliases.previous_id as id,
        aliases.user_id as next_id,
        aliases.user_id as least_id
    from {{ ref('int_aliases') }} as aliases
    inner join snapshot_dates on aliases.received_date <= snapshot_dates.snapshot_date

),

{% for stride in [2, 4, 8, 16] -%}
hops_{{ stride }} as (

    select
        hops.snapshot_date,
        hops.id,
        coalesce(further.next_id, hops.next_id) as next_id,
        least(hops.least_id, coalesce(further.least_id, hops.least_id)) as least_id
    from hops_{{ stride // 2 }} as hops
    left join hops_{{ stride // 2 }} as further
        on hops.snapshot_date = further.snapshot_date and hops.next_id = further.id

),

{% endfor -%}
final as (

    select
        hops.snapshot_date,
        hops.id as previous_id,
        coalesce(circle.least_id, hops.next_id) as customer_id
    from hops_16 as hops
    left join hops_16 as circle
        on hops.snapshot_date = circle.snapshot_date and hops.next_id = circle.id

)

select * from final
