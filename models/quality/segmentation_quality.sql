with month_ends as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_month_end

),

customers as (

    select
        snapshot_date,
        count(*) as customers
    from {{ ref('int_customer_snapshots') }}
    group by snapshot_date

),

segments as (

    select
        snapshot_date,
        count(*) as micro_segments,
        sum(customers) as customers,
        min(customers) as smallest,
        median(customers) as median,
        max(customers) as largest
    from {{ ref('micro_segment_measures') }}
    where micro_segment_id is not null
    group by snapshot_date

),

windows as (

    select * from {{ ref('micro_spend_windows') }}

),

explained as (

    select
        snapshot_date,
        max(case when grouping_name = 'micro_segment' then explained_variance end) as by_micro_segment,
        max(case when grouping_name = 'macro_segment' then explained_variance end) as by_macro_segment,
        max(case when grouping_name = 'rfm_group' then explained_variance end) as by_rfm_group,
        max(case when grouping_name = 'rfm_group' then group_count end) as rfm_groups
    from {{ ref('micro_explained_variance') }}
    group by snapshot_date

),

stability as (

    select * from {{ ref('micro_stability') }}

),

final as (

    select
        month_ends.snapshot_date,
        customers.customers,
        round(cast(coalesce(segments.customers, 0) as double) / customers.customers, 6) as coverage,
        coalesce(segments.micro_segments, 0) as micro_segments,
        segments.smallest as smallest_segment_customers,
        segments.median as median_segment_customers,
        segments.largest as largest_segment_customers,
        windows.until_date as spend_until_date,
        windows.window_days as spend_window_days,
        windows.is_complete as is_spend_window_complete,
        explained.by_micro_segment as explained_variance,
        explained.by_macro_segment as explained_variance_macro_segments,
        explained.by_rfm_group as explained_variance_rfm_groups,
        explained.rfm_groups,
        explained.by_micro_segment < explained.by_rfm_group as is_below_rfm,
        stability.previous_snapshot_date,
        stability.adjusted_rand_index
    from month_ends
    inner join customers on month_ends.snapshot_date = customers.snapshot_date
    left join segments on month_ends.snapshot_date = segments.snapshot_date
    left join windows on month_ends.snapshot_date = windows.snapshot_date
    left join explained on month_ends.snapshot_date = explained.snapshot_date
    left join stability on month_ends.snapshot_date = stability.snapshot_date

)

select * from final
