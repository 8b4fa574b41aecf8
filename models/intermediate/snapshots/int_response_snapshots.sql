-- How a customer responds to e-mail and to push notifications, as known on the snapshot date.
{% set channels = {
    'email': {'received': 'emails_delivered', 'opened': 'emails_opened', 'clicked': 'emails_clicked'},
    'push': {'received': 'pushes_received', 'opened': 'pushes_tapped', 'clicked': 'pushes_tapped'},
} -%}
{% set measures = ['emails_delivered', 'emails_opened', 'emails_clicked', 'pushes_received', 'pushes_tapped'] -%}
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

actor_days as (

    select * from {{ ref('int_actor_days') }}
    where {{ measures | join(' + ') }} > 0

),

{{ customers_of('actor_days', ['event_date'] + measures) }},

customers as (

    select
        {% for channel, counts in channels.items() -%}
        sum({{ counts.received }}) as {{ channel }}_received,
        max(case when {{ counts.clicked }} > 0 then event_date end) as {{ channel }}_click_date,
        max(case
            when {{ counts.opened }} + {{ counts.clicked }} > 0 then event_date
        end) as {{ channel }}_response_date,
        {% endfor -%}
        snapshot_date,
        customer_id
    from actor_days_of_customers
    group by snapshot_date, customer_id

),

responses as (

    {% for channel in channels -%}
    select
        snapshot_date,
        customer_id,
        '{{ channel }}' as channel,
        {{ channel }}_received as received,
        {{ dbt.datediff(channel ~ '_click_date', 'snapshot_date', 'day') }} as days_since_click,
        {{ dbt.datediff(channel ~ '_response_date', 'snapshot_date', 'day') }} as days_since_response
    from customers
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (

    select
        {% for channel in channels -%}
        min_by(rules.engagement_level, rules.priority) filter (
            where rules.channel = '{{ channel }}'
        ) as {{ channel }}_engagement,
        {% endfor -%}
        responses.snapshot_date,
        responses.customer_id
    from responses
    inner join {{ ref('engagement_levels') }} as rules
        on
            responses.channel = rules.channel
            and responses.received >= coalesce(rules.received_from, responses.received)
            and (rules.days_since_click_to is null or responses.days_since_click <= rules.days_since_click_to)
            and (rules.days_since_response_to is null or responses.days_since_response <= rules.days_since_response_to)
    group by responses.snapshot_date, responses.customer_id

)

select * from final
