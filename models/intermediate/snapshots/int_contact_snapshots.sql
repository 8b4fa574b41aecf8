-- Whether a customer may be sent e-mail, as the latest message about it says, as known on the snapshot date.
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

contact_messages as (

    select * from {{ ref('stg_contact_messages') }}

),

{{ customers_of('contact_messages', ['event_at', 'message_id', 'is_contactable']) }},

final as (

    select
        snapshot_date,
        customer_id,
        max_by(is_contactable, {{ struct({'event_at': 'event_at', 'message_id': 'message_id'}) }}) as is_contactable
    from contact_messages_of_customers
    group by snapshot_date, customer_id

)

select * from final
