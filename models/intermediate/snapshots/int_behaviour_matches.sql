-- Who did what a rule of an audience asks, in its window before the snapshot date, as known then. A purchase counts
-- unless it was cancelled, or what was paid for it was refunded in full.
{{ config(materialized='table') }}

with snapshots as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where snapshot_date in ({{ date_literals(audience_snapshots_to_build()) }})

),

conditions as (

    select distinct
        condition_number,
        kind,
        field,
        operator,
        value,
        at_least,
        ago_from,
        ago_to,
        ago_unit
    from {{ ref('int_audience_rules') }}
    where kind not in ('attribute', 'number', 'audience')

),

behaviours as (

    select * from {{ ref('int_behaviours') }}
    where actor_id is not null

),

entries as (

    select
        conditions.condition_number,
        behaviours.received_date,
        behaviours.event_date,
        behaviours.is_user,
        behaviours.actor_id,
        behaviours.order_id,
        behaviours.times,
        behaviours.revenue,
        behaviours.net_revenue
    from behaviours
    inner join conditions
        on
            behaviours.behaviour = conditions.kind
            and behaviours.field = conditions.field
            and case conditions.operator
                when 'is' then behaviours.value = conditions.value
                when 'begins with' then instr(behaviours.value, conditions.value) = 1
                when 'contains' then instr(behaviours.value, conditions.value) > 0
                else true
            end

),

-- Both ends of a window count. (Under this name customers_of joins it: each condition has its own window.)
snapshot_dates as (

    select
        {% for end, ago, missing in [
            ('first_date', 'ago_to', "cast('1900-01-01' as date)"), ('last_date', 'ago_from', 'snapshots.snapshot_date'),
        ] -%}
        case
            when conditions.{{ ago }} is null then {{ missing }}
            when conditions.ago_unit = 'months'
                then cast({{ dbt.dateadd('month', '-conditions.' ~ ago, 'snapshots.snapshot_date') }} as date)
            else cast({{ dbt.dateadd('day', '-conditions.' ~ ago, 'snapshots.snapshot_date') }} as date)
        end as {{ end }},
        {% endfor -%}
        snapshots.snapshot_date,
        conditions.condition_number
    from snapshots
    cross join conditions

),

{{ customers_of(
    'entries',
    ['condition_number', 'order_id', 'times', 'revenue', 'net_revenue'],
    'entries.condition_number = snapshot_dates.condition_number '
    ~ 'and entries.event_date between snapshot_dates.first_date and snapshot_dates.last_date',
) }},

-- What was bought together counts once, what is not bought each time.
done as (

    select
        snapshot_date,
        condition_number,
        customer_id,
        case when order_id is null then sum(times) else 1 end as times
    from entries_of_customers
    group by snapshot_date, condition_number, customer_id, order_id
    having sum(times) > 0 and (sum(net_revenue) > 0 or sum(revenue) = 0)

),

final as (

    select
        done.snapshot_date,
        done.condition_number,
        done.customer_id
    from done
    inner join conditions on done.condition_number = conditions.condition_number
    group by done.snapshot_date, done.condition_number, done.customer_id, conditions.at_least
    having sum(done.times) >= conditions.at_least

)

select * from final
