with messages as (

    select
        received_date,
        coalesce(event, type) as message_type
    from {{ ref('stg_messages') }}
    where
        outcome = 'accepted'
        and received_date <= {{ as_of() }}
        and received_date >= cast({{ dbt.dateadd('day', -56, as_of()) }} as date)

),

first_day as (

    select min(received_date) as first_date from {{ ref('int_message_ledger') }}

),

-- the published day and the eight same weekdays before, as far as there were messages at all
weekdays as (

    select calendar.calendar_date
    from {{ ref('calendar') }} as calendar
    inner join first_day on calendar.calendar_date >= first_day.first_date
    where
        calendar.calendar_date in (
            {%- for weeks in range(9) %}
            cast({{ dbt.dateadd('day', -7 * weeks, as_of()) }} as date){{ ',' if not loop.last }}
            {%- endfor %}
        )

),

message_types as (

    select distinct message_type from messages

),

volumes as (

    select
        message_types.message_type,
        weekdays.calendar_date,
        count(messages.received_date) as messages
    from message_types
    cross join weekdays
    left join messages
        on message_types.message_type = messages.message_type and weekdays.calendar_date = messages.received_date
    group by message_types.message_type, weekdays.calendar_date

),

usual_volumes as (

    select
        message_type,
        count(*) as weeks,
        median(messages) as messages
    from volumes
    where calendar_date < {{ as_of() }}
    group by message_type

),

message_volume as (

    select
        volumes.message_type as subject,
        greatest(
            (volumes.messages + 1.0) / (usual_volumes.messages + 1.0),
            (usual_volumes.messages + 1.0) / (volumes.messages + 1.0)
        ) as measured,
        cast(volumes.messages as {{ dbt.type_string() }}) || ' on the day; median of '
        || cast(usual_volumes.weeks as {{ dbt.type_string() }}) || ' such weekdays before: '
        || cast(cast(usual_volumes.messages as decimal(18, 1)) as {{ dbt.type_string() }}) as explanation
    from volumes
    inner join usual_volumes on volumes.message_type = usual_volumes.message_type
    where
        volumes.calendar_date = {{ as_of() }}
        and usual_volumes.weeks >= 4
        and usual_volumes.messages >= 20

),

-- What arrives of people who were forgotten is kept out as it should be: it counts neither way.
rejected_share as (

    select
        'last 7 days' as subject,
        sum(case when outcome = 'rejected' then messages else 0 end) / cast(sum(messages) as double) as measured,
        cast(sum(case when outcome = 'rejected' then messages else 0 end) as {{ dbt.type_string() }}) || ' of '
        || cast(sum(messages) as {{ dbt.type_string() }}) || ' messages; quality.rejected_messages says why'
            as explanation
    from {{ ref('int_message_ledger') }}
    where
        received_date <= {{ as_of() }}
        and received_date > cast({{ dbt.dateadd('day', -7, as_of()) }} as date)
        and reject_reason <> 'forgotten'
    having sum(messages) > 0

),

-- Customers since the last month-end while the segments stay as they were drawn: that some open or close is no drift.
moves as (

    select * from {{ ref('segment_migrations') }}
    where is_latest and period = 'month' and step = 'behaviour'

),

ends_of_moves as (

    select
        previous_snapshot_date,
        from_micro_segment_id as micro_segment_id,
        customers as previous_customers,
        0 as customers
    from moves
    where from_micro_segment_id is not null
    union all
    select
        previous_snapshot_date,
        to_micro_segment_id as micro_segment_id,
        0 as previous_customers,
        customers
    from moves
    where to_micro_segment_id is not null

),

sizes as (

    select
        previous_snapshot_date,
        micro_segment_id,
        sum(previous_customers) + 0.5 as previous_customers,
        sum(customers) + 0.5 as customers
    from ends_of_moves
    group by previous_snapshot_date, micro_segment_id

),

-- half a customer more in every segment, so that an empty one counts for what it held
shares as (

    select
        previous_snapshot_date,
        previous_customers / sum(previous_customers) over () as previous_share,
        customers / sum(customers) over () as share
    from sizes

),

segment_size_drift as (

    select
        'micro-segments' as subject,
        -- each segment's part is rounded, so that the sum doesn't depend on the order of rows
        cast(sum(cast((share - previous_share) * ln(share / previous_share) as decimal(18, 10))) as double) as measured,
        cast(count(*) as {{ dbt.type_string() }}) || ' segments as they were drawn at '
        || cast(previous_snapshot_date as {{ dbt.type_string() }}) as explanation
    from shares
    group by previous_snapshot_date

),

latest_backtests as (

    select *
    from {{ ref('ltv_backtest') }}
    where dimension = 'all' and measure = 'net_revenue' and bias_rate is not null and buyers_modelled > 0
    qualify row_number() over (partition by horizon_days order by snapshot_date desc nulls last) = 1

),

ltv_calibration as (

    select
        cast(horizon_days as {{ dbt.type_string() }}) || ' days' as subject,
        abs(bias_rate) as measured,
        cast(predicted as {{ dbt.type_string() }}) || ' predicted at '
        || cast(snapshot_date as {{ dbt.type_string() }}) || ', ' || cast(actual as {{ dbt.type_string() }})
        || ' came by ' || cast(outcome_date as {{ dbt.type_string() }})
        || case when not is_in_interval then ', outside the interval' else '' end as explanation
    from latest_backtests

),

measured as (

    select
        'message_volume' as check_name,
        *
    from message_volume
    union all
    select
        'rejected_share' as check_name,
        *
    from rejected_share
    union all
    select
        'segment_size_drift' as check_name,
        *
    from segment_size_drift
    union all
    select
        'ltv_calibration' as check_name,
        *
    from ltv_calibration

),

levels as (

    select * from {{ ref('check_levels') }}

),

final as (

    select
        measured.check_name,
        measured.subject,
        round(measured.measured, 6) as measured,
        levels.warn_level,
        levels.error_level,
        case
            when measured.measured > levels.error_level then 'error'
            when measured.measured > levels.warn_level then 'warn'
            else 'pass'
        end as status,
        measured.explanation,
        levels.description
    from measured
    left join levels on measured.check_name = levels.check_name

)

select * from final
