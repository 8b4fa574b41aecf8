with customers as (
    select * from {{ ref('int_customer_snapshots') }}
),

month_ends as (
    select *
    from customers
    where
        snapshot_date in ({{ snapshots_to_build() }})
        and snapshot_date = last_day(snapshot_date)
        and is_buyer
        and frequency is not null
),

final as (
    select
        'pooled' as scope,
        snapshot_date as cutoff_date,
        frequency,
        recency_days,
        age_days,
        count(*) as customers
    from month_ends
    group by snapshot_date, frequency, recency_days, age_days
)

select
    scope,
    cutoff_date,
    frequency,
    recency_days,
    age_days,
    customers
from final
