-- What the order lines of the last 365 days say of a customer's taste in products, as known on the snapshot date.
{% set measures = ['lines', 'repeat_lines', 'net_revenue', 'long_tail_net_revenue'] -%}
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_built_now

),

products as (

    select * from {{ ref('stg_products') }}

),

sales as (

    select * from {{ ref('int_product_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

-- A product is bought again where the same id bought it on an earlier day, from the day on which that was known.
lines as (

    select
        entries.received_date,
        entries.event_date,
        entries.is_user,
        entries.actor_id,
        entries.product_id,
        coalesce(products.brand, {{ blank_to_null('entries.brand') }}) as brand,
        entries.lines,
        entries.net_revenue,
        min(case when entries.lines > 0 and entries.product_id is not null then entries.received_date end) over (
            partition by entries.is_user, entries.actor_id, entries.product_id
            order by entries.event_date nulls last
            range between unbounded preceding and interval '1' day preceding
        ) as bought_before_date
    from {{ ref('int_order_line_entries') }} as entries
    left join products on entries.product_id = products.product_id
    where entries.actor_id is not null

),

{{ summed_for_snapshots(
    'lines', ['is_user', 'actor_id', 'product_id', 'brand', 'bought_before_date'], ['lines', 'net_revenue'], 365
) }},

-- Added up per id first, so that who is behind an id is asked once and not line by line.
brands_of_ids as (

    select
        snapshot_dates.snapshot_date,
        snapshot_dates.snapshot_date as received_date,
        bought.is_user,
        bought.actor_id,
        bought.brand,
        sum(bought.lines) as lines,
        sum(case when bought.bought_before_date <= snapshot_dates.snapshot_date then bought.lines else 0 end)
            as repeat_lines,
        sum(bought.net_revenue) as net_revenue,
        sum(case when sales.is_long_tail then bought.net_revenue else 0 end) as long_tail_net_revenue
    from lines_summed as bought
    inner join snapshot_dates
        on snapshot_dates.snapshot_date between bought.received_date and bought.last_snapshot_date
    left join sales on snapshot_dates.snapshot_date = sales.snapshot_date and bought.product_id = sales.product_id
    group by snapshot_dates.snapshot_date, bought.is_user, bought.actor_id, bought.brand

),

{{ customers_of(
    'brands_of_ids', ['brand'] + measures, 'brands_of_ids.snapshot_date = snapshot_dates.snapshot_date'
) }},

brands as (

    select
        snapshot_date,
        customer_id,
        {% for measure in measures -%}
        sum({{ measure }}) as {{ measure }},
        {% endfor -%}
        brand
    from brands_of_ids_of_customers
    group by snapshot_date, customer_id, brand

),

final as (

    select
        snapshot_date,
        customer_id,
        {% for measure in measures -%}
        cast(sum({{ measure }}) as {{ 'decimal(18, 2)' if 'revenue' in measure else 'bigint' }}) as {{ measure }},
        {% endfor -%}
        max_by(
            brand, {{ struct({'net_revenue': 'net_revenue', 'lines': 'lines', 'brand': 'brand'}) }}
        ) filter (where brand is not null and lines > 0) as top_brand
    from brands
    group by snapshot_date, customer_id

)

select * from final
