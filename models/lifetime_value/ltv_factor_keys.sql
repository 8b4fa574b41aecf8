with customers as (
    select * from {{ ref('int_customer_snapshots') }}
),

scoring_fits as (
    select * from {{ ref('ltv_scoring_fits') }}
),

final as (
    -- snapshots between two month-ends share a fit, and so most of their keys
    select distinct
        scoring_fits.cutoff_date,
        customers.frequency,
        customers.age_days
    from customers
    inner join scoring_fits
        on customers.snapshot_date = scoring_fits.snapshot_date
    where
        customers.snapshot_date in ({{ snapshots_to_build() }})
        and customers.is_buyer
        and customers.frequency is not null
        and scoring_fits.cutoff_date is not null
)

select
    cutoff_date,
    frequency,
    age_days
from final
