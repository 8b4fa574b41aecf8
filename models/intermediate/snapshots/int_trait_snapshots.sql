-- What customers have said of themselves, as known on the snapshot date: of each trait the latest statement.
{% set traits = [
    'country', 'state', 'city', 'postal_code', 'birth_date', 'age', 'gender', 'industry', 'employees', 'email_consent',
] -%}
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

trait_messages as (

    select * from {{ ref('stg_trait_messages') }}
    where actor_id is not null

),

{{ customers_of('trait_messages', ['event_at', 'message_id', 'event_date'] + traits) }},

final as (

    select
        snapshot_date,
        customer_id,
        {% for trait in traits -%}
        max_by(
            {{ trait }}, {{ struct({'event_at': 'event_at', 'message_id': 'message_id'}) }}
        ) filter (where {{ trait }} is not null) as {{ trait }},
        {% endfor -%}
        max(case when age is not null then event_date end) as age_stated_date
    from trait_messages_of_customers
    group by snapshot_date, customer_id

)

select * from final
