with customers as (
    select * from {{ ref('int_customer_snapshots') }}
),

repeat_buyers as (
    select
        snapshot_date,
        frequency,
        -- whole cents are exact, and equal rows group
        cast(round(repeat_spend * 100) as bigint) as repeat_spend_cents
    from customers
    where
        snapshot_date in ({{ snapshots_to_build() }})
        and snapshot_date = last_day(snapshot_date)
        and is_buyer
        and frequency > 0
        and repeat_spend > 0
),

final as (
    select
        'pooled' as scope,
        snapshot_date as cutoff_date,
        frequency,
        repeat_spend_cents,
        count(*) as customers
    from repeat_buyers
    group by snapshot_date, frequency, repeat_spend_cents
)

select
    scope,
    cutoff_date,
    frequency,
    repeat_spend_cents,
    customers
from final
