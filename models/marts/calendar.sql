with entries as (

    select min(event_date) as first_day
    from {{ ref('int_order_entries') }}
    where received_date <= {{ as_of() }}

),

actor_days as (

    select min(event_date) as first_day
    from {{ ref('int_actor_days') }}
    where received_date <= {{ as_of() }}

),

first_days as (

    select
        least(
            (select entries.first_day from entries), (select actor_days.first_day from actor_days), {{ as_of() }}
        ) as first_day

),

days as (

    {{ days_between('(select first_day from first_days)', as_of()) }}

),

fiscal_months as (

    select * from {{ ref('fiscal_months') }}

),

snapshot_dates as (

    select * from {{ ref('int_snapshot_dates') }}

),

final as (

    select
        days.calendar_date,
        cast({{ dbt.date_trunc('week', 'days.calendar_date') }} as date) as week_start_date,
        cast({{ dbt.date_trunc('month', 'days.calendar_date') }} as date) as month_start_date,
        cast({{ dbt.date_trunc('quarter', 'days.calendar_date') }} as date) as quarter_start_date,
        'FY'
        || cast(extract(year from days.calendar_date) + fiscal_months.fiscal_year_offset as {{ dbt.type_string() }})
        || '-P'
        || lpad(cast(fiscal_months.fiscal_month as {{ dbt.type_string() }}), 2, '0') as fiscal_period,
        days.calendar_date = cast({{ dbt.last_day('days.calendar_date', 'month') }} as date) as is_month_end,
        snapshot_dates.snapshot_date is not null as is_snapshot
    from days
    left join fiscal_months on extract(month from days.calendar_date) = fiscal_months.calendar_month
    left join snapshot_dates on days.calendar_date = snapshot_dates.snapshot_date

)

select * from final
