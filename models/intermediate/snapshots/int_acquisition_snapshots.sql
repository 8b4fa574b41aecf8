-- What brought a customer here, as known on the snapshot date: the first visit of any of the customer's ids.
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

first_visits as (

    select * from {{ ref('int_first_visits') }}

),

{{ customers_of('first_visits', ['event_at', 'actor_id', 'utm_source', 'utm_campaign']) }},

final as (

    select
        snapshot_date,
        customer_id,
        event_at as first_visit_at,
        coalesce(utm_source, 'direct') as acquisition_source,
        utm_campaign as acquisition_campaign
    from first_visits_of_customers
    qualify
        row_number() over (
            partition by snapshot_date, customer_id order by event_at nulls last, actor_id nulls last
        ) = 1

)

select * from final
