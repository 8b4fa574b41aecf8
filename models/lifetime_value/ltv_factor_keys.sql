with customers as (
    select * from {{ ref('int_customer_snapshots') }}
),

segments as (
    select * from {{ ref('macro_customer_snapshots') }}
),

scoring_fits as (
    select * from {{ ref('ltv_scoring_fits') }}
),

final as (
    -- snapshots between two month-ends share a fit, and so most of their keys
    select distinct
        scoring_fits.scope,
        scoring_fits.cutoff_date,
        customers.frequency,
        customers.age_days
    from customers
    inner join segments
        on
            customers.snapshot_date = segments.snapshot_date
            and customers.customer_id = segments.customer_id
    inner join scoring_fits
        on
            segments.snapshot_date = scoring_fits.snapshot_date
            and segments.macro_segment = scoring_fits.macro_segment
    where
        customers.snapshot_date in ({{ snapshots_to_build() }})
        and customers.is_buyer
        and customers.frequency is not null
        and scoring_fits.cutoff_date is not null
)

select
    scope,
    cutoff_date,
    frequency,
    age_days
from final
