-- Segments partition the customers of every snapshot: everybody is in exactly one, or, where all together are too few
-- to be shown, nobody is in any; and the sizes of the segments add up to the customers.
with customers as (

    select
        snapshot_date,
        count(*) as customers,
        count(micro_segment_id) as customers_in_segments,
        count(macro_segment) as customers_in_macro_segments,
        count(distinct micro_segment_id) as micro_segments
    from {{ ref('customer_snapshots') }}
    group by snapshot_date

),

segments as (

    select
        snapshot_date,
        sum(customers) as customers,
        count(*) as micro_segments
    from {{ ref('micro_segment_snapshots') }}
    group by snapshot_date

)

select
    coalesce(customers.snapshot_date, segments.snapshot_date) as snapshot_date,
    customers.customers,
    customers.customers_in_segments,
    segments.customers as customers_of_segments
from customers
full outer join segments on customers.snapshot_date = segments.snapshot_date
where
    coalesce(customers.customers_in_segments, 0) not in (0, coalesce(customers.customers, -1))
    or customers.customers_in_macro_segments <> customers.customers_in_segments
    or coalesce(segments.customers, 0) <> coalesce(customers.customers_in_segments, 0)
    or coalesce(segments.micro_segments, 0) <> coalesce(customers.micro_segments, 0)
