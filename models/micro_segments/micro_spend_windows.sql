-- From each month-end six months on, or to the last month-end that is there: over which later spend is measured.
{{ config(materialized='table') }}

with month_ends as (

    select
        snapshot_date,
        max(snapshot_date) over () as last_month_end,
        cast({{ dbt.last_day(dbt.dateadd('month', 6, 'snapshot_date'), 'month') }} as date) as half_a_year_later
    from {{ ref('int_snapshot_dates') }}
    where is_month_end

),

final as (

    select
        snapshot_date,
        least(half_a_year_later, last_month_end) as until_date,
        cast(
            {{ dbt.datediff('snapshot_date', 'least(half_a_year_later, last_month_end)', 'day') }} as integer
        ) as window_days,
        half_a_year_later <= last_month_end as is_complete
    from month_ends
    where snapshot_date < last_month_end

)

select * from final
