-- A customer id of a kept snapshot was given up when the device was linked to a user, or the user to another.
with links as (

    select
        anonymous_id as id,
        user_id as next_id,
        received_date
    from {{ ref('int_identity_links') }}
    where received_date <= {{ as_of() }}

),

aliases as (

    select
        previous_id as id,
        user_id as next_id,
        received_date
    from {{ ref('int_aliases') }}
    where received_date <= {{ as_of() }}

),

ends_of_aliases as (

    select * from {{ ref('int_alias_snapshots') }}
    where snapshot_date = {{ as_of() }}

),

customers as (

    select * from {{ ref('int_customer_snapshots') }}

),

snapshot_dates as (

    select * from {{ ref('int_snapshot_dates') }}

),

-- Where both are known of a device, the link holds.
given_up as (

    select * from links
    union all
    select aliases.*
    from aliases
    anti join links on aliases.id = links.id

),

merged as (

    select
        {{ public_id('given_up.id') }} as old_customer_id,
        {{ public_id('coalesce(ends_of_aliases.customer_id, given_up.next_id)') }} as new_customer_id,
        given_up.received_date
    from given_up
    left join ends_of_aliases on given_up.next_id = ends_of_aliases.previous_id

),

final as (

    select
        merged.old_customer_id,
        merged.new_customer_id,
        min(snapshot_dates.snapshot_date) as first_snapshot_date
    from merged
    semi join customers on merged.old_customer_id = customers.customer_id
    inner join snapshot_dates on merged.received_date <= snapshot_dates.snapshot_date
    where merged.old_customer_id <> merged.new_customer_id
    group by merged.old_customer_id, merged.new_customer_id

)

select * from final
