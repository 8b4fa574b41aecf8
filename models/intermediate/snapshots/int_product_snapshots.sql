-- What sells as of the snapshot date, and where the long tail begins: below the products that make most of the net
-- revenue (variable long_tail_share). Sales without a customer count too.
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

lines as (

    select * from {{ ref('int_order_line_entries') }}
    where product_id is not null

),

{{ summed_for_snapshots('lines', ['product_id'], ['net_revenue'], 365) }},

sales as (

    select
        snapshot_dates.snapshot_date,
        lines_summed.product_id,
        cast(sum(lines_summed.net_revenue) as decimal(18, 2)) as net_revenue_365d
    from lines_summed
    inner join snapshot_dates
        on snapshot_dates.snapshot_date between lines_summed.received_date and lines_summed.last_snapshot_date
    group by snapshot_dates.snapshot_date, lines_summed.product_id

),

ranked as (

    select
        *,
        row_number() over (
            partition by snapshot_date order by net_revenue_365d desc nulls last, product_id nulls last
        ) as sales_rank,
        sum(net_revenue_365d) over (
            partition by snapshot_date order by net_revenue_365d desc nulls last, product_id nulls last
            rows between unbounded preceding and current row
        ) - net_revenue_365d as net_revenue_above,
        sum(net_revenue_365d) over (partition by snapshot_date) as net_revenue_total
    from sales

),

final as (

    select
        snapshot_date,
        product_id,
        net_revenue_365d,
        cast(sales_rank as bigint) as sales_rank,
        net_revenue_above >= {{ var('long_tail_share') }} * net_revenue_total as is_long_tail
    from ranked

)

select * from final
