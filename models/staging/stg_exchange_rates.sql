-- depends_on: {{ source('raw', 'exchange_rates') }}
with rates as (

    {{ read_json_lines(var('rates_path'), ['currency', 'rate_date', 'effective_date', 'rate_to_reporting']) }}

),

typed as (

    select
        currency,
        cast(effective_date as date) as effective_date,
        cast(rate_to_reporting as decimal(18, 8)) as rate_to_reporting
    from rates
    where currency <> '{{ var("reporting_currency") }}' and effective_date is not null
    -- Of several late ones that hold from the same day on, the latest holds.
    qualify row_number() over (partition by currency, effective_date order by rate_date desc nulls last) = 1

),

-- The rate of a day is the latest one not after it: every rate holds until the day before the next one.
intervals as (

    select
        currency,
        rate_to_reporting,
        effective_date,
        coalesce(
            lead(effective_date) over (partition by currency order by effective_date nulls last),
            {{ dbt.dateadd('day', 1, run_to()) }}
        ) as next_effective_date
    from typed

),

days as (

    {{ days_between('(select min(effective_date) from typed)', run_to()) }}

),

final as (

    select
        intervals.currency,
        days.calendar_date as rate_date,
        intervals.rate_to_reporting
    from intervals
    inner join days
        on
            days.calendar_date >= intervals.effective_date
            and days.calendar_date < intervals.next_effective_date

)

select * from final
