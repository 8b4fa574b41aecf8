with backtests as (

    select * from {{ ref('micro_size_backtests') }}

),

totals as (

    select
        snapshot_date,
        target_date,
        is_published,
        is_published_reason,
        max(z_deviation) as z_deviation,
        count(*) as micro_segments,
        sum(customers) as customers,
        sum(actual_customers) as actual_customers,
        sum(abs(predicted_customers - actual_customers)) as absolute_error,
        sum(abs(customers - actual_customers)) as absolute_error_unchanged,
        sum(
            case when actual_customers between predicted_customers_low and predicted_customers_high then 1 else 0 end
        ) as micro_segments_within
    from backtests
    where actual_customers is not null
    group by snapshot_date, target_date, is_published, is_published_reason

),

final as (

    select
        snapshot_date,
        target_date,
        cast(micro_segments as bigint) as micro_segments,
        cast(customers as bigint) as customers,
        cast(actual_customers as bigint) as actual_customers,
        round(cast(absolute_error as double) / nullif(actual_customers, 0), 6) as weighted_error,
        round(cast(absolute_error_unchanged as double) / nullif(actual_customers, 0), 6) as weighted_error_unchanged,
        absolute_error < absolute_error_unchanged as is_nearer_than_unchanged,
        round(cast(micro_segments_within as double) / micro_segments, 6) as coverage,
        z_deviation,
        is_published,
        is_published_reason
    from totals

)

select * from final
