-- What a customer did in the last days before the snapshot date, as known then.
{% set measures = [
    'page_views', 'product_views', 'searches', 'cart_adds', 'checkouts',
    'emails_delivered', 'emails_opened', 'emails_clicked', 'visit_messages',
] -%}
with snapshot_dates as (

    select
        snapshot_date,
        cast({{ dbt.dateadd('day', -90, 'snapshot_date') }} as date) as day_90d,
        cast({{ dbt.dateadd('day', '-' ~ var('visitor_days'), 'snapshot_date') }} as date) as visitor_day
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

actor_days as (

    select * from {{ ref('int_actor_days') }}

),

session_entries as (

    select * from {{ ref('int_session_entries') }}

),

{{ customers_of(
    'actor_days',
    ['event_date'] + measures,
    'actor_days.event_date > least(snapshot_dates.day_90d, snapshot_dates.visitor_day)',
) }},

{{ customers_of(
    'session_entries', ['event_date', 'sessions'], 'session_entries.event_date > snapshot_dates.day_90d'
) }},

activity as (

    select
        snapshot_date,
        customer_id,
        event_date,
        {% for measure in measures -%}
        {{ measure }},
        {% endfor -%}
        0 as sessions
    from actor_days_of_customers
    union all
    select
        snapshot_date,
        customer_id,
        event_date,
        {% for measure in measures -%}
        0 as {{ measure }},
        {% endfor -%}
        sessions
    from session_entries_of_customers

),

final as (

    select
        snapshot_date,
        customer_id,
        {% for measure in measures[:-1] + ['sessions'] -%}
        cast(coalesce(sum(case
            when event_date > {{ dbt.dateadd('day', -90, 'snapshot_date') }} then {{ measure }}
        end), 0) as bigint) as {{ measure }}_90d,
        {% endfor -%}
        {% for measure in ['product_views', 'cart_adds', 'checkouts'] -%}
        cast(coalesce(sum(case
            when event_date > {{ dbt.dateadd('day', -30, 'snapshot_date') }} then {{ measure }}
        end), 0) as bigint) as {{ measure }}_30d,
        {% endfor -%}
        {% for measure in ['product_view', 'cart_add', 'checkout'] -%}
        max(case when {{ measure }}s > 0 then event_date end) as last_{{ measure }}_date,
        {% endfor -%}
        max(case when visit_messages > 0 then event_date end) as last_visit_date
    from activity
    group by snapshot_date, customer_id

)

select * from final
