-- What brought a customer here, as known on the snapshot date: the first visit of any of the customer's ids.
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

first_visits as (

    select * from {{ ref('int_first_visits') }}

),

{{ customers_of('first_visits', ['event_at', 'is_user', 'actor_id', 'utm_source', 'utm_campaign']) }},

earliest as (

    select
        snapshot_date,
        customer_id,
        min_by(
            {{ struct({'event_at': 'event_at', 'utm_source': 'utm_source', 'utm_campaign': 'utm_campaign'}) }},
            {{ struct({'event_at': 'event_at', 'actor_id': 'actor_id', 'is_user': 'is_user'}) }}
        ) as visit
    from first_visits_of_customers
    group by snapshot_date, customer_id

),

final as (

    select
        snapshot_date,
        customer_id,
        earliest.visit.event_at as first_visit_at,
        coalesce(earliest.visit.utm_source, 'direct') as acquisition_source,
        earliest.visit.utm_campaign as acquisition_campaign
    from earliest

)

select * from final
