-- How did each macro-segment end its months: size, activity, revenue of the month and what is to be expected?
select
    snapshot_date,
    macro_segment,
    sum(customers) as customers,
    sum(active_buyers) as active_buyers,
    sum(orders_mtd) as orders,
    sum(net_revenue_mtd) as net_revenue,
    sum(predicted_ltv_365d) as predicted_ltv_365d
from marts.micro_segment_snapshots
where is_month_end
group by snapshot_date, macro_segment
order by snapshot_date desc, net_revenue desc, macro_segment
