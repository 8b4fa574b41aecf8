-- Who buys the long tail: which segments give it the largest share of what they spend?
select
    micro_segment,
    count(distinct customer_id) as buyers,
    count(distinct product_id) filter (where is_long_tail) as long_tail_products,
    sum(order_items.net_revenue) filter (where is_long_tail) as long_tail_net_revenue,
    round(long_tail_net_revenue / nullif(sum(order_items.net_revenue), 0), 3) as long_tail_share
from marts.order_items inner join marts.products using (product_id)
inner join marts.customers using (customer_id)
where order_date > (select as_of - 365 from quality.publication)
group by micro_segment_id, micro_segment
order by long_tail_share desc nulls last, micro_segment_id limit 20
