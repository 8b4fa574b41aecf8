-- Ids that were given up since the month-end before: a device's for its user's, a user's for another's. Whoever was a
-- customer under one is, as of the snapshot, under another.
with snapshot_dates as (

    select
        snapshot_date,
        cast({{ dbt.date_trunc('month', 'snapshot_date') }} as date) as month_start_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

given_up as (

    select
        anonymous_id as id,
        user_id as next_id,
        received_date,
        false as is_alias
    from {{ ref('int_identity_links') }}
    union all
    select
        previous_id as id,
        user_id as next_id,
        received_date,
        true as is_alias
    from {{ ref('int_aliases') }}

),

aliases as (

    select * from {{ ref('int_alias_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

merged as (

    select
        snapshot_dates.snapshot_date,
        given_up.received_date,
        given_up.is_alias,
        {{ public_id('given_up.id') }} as given_up_id,
        {{ public_id('coalesce(aliases.customer_id, given_up.next_id)') }} as customer_id
    from given_up
    inner join snapshot_dates
        on given_up.received_date between snapshot_dates.month_start_date and snapshot_dates.snapshot_date
    left join aliases
        on snapshot_dates.snapshot_date = aliases.snapshot_date and given_up.next_id = aliases.previous_id

),

-- A link comes before an alias, as where customers are resolved.
final as (

    select
        snapshot_date,
        given_up_id,
        customer_id,
        received_date
    from merged
    where given_up_id <> customer_id
    qualify row_number() over (partition by snapshot_date, given_up_id order by is_alias nulls last) = 1

)

select * from final
