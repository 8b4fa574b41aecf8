-- Orders as they stand at as_of: the sum of their entries, and what the latest message says of them.
with snapshot_dates as (

    select snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where is_latest

),

entries as (

    select * from {{ ref('int_order_entries') }}
    where received_date <= {{ as_of() }}

),

sums as (

    select
        order_id,
        {% for measure in [
            'discount', 'tax', 'shipping', 'revenue', 'refunded_revenue', 'net_revenue', 'net_revenue_order_currency',
        ] -%}
        cast(sum({{ measure }}) as decimal(18, 2)) as {{ measure }},
        {% endfor -%}
        cast(sum(orders) as integer) as orders,
        cast(sum(items) as decimal(18, 3)) as items
    from entries
    group by order_id

),

states as (

    select *
    from {{ ref('int_sale_states') }}
    where received_date <= {{ as_of() }}
    qualify row_number() over (partition by order_id order by received_date desc nulls last) = 1

),

{{ customers_of('states', ['order_id']) }},

campaigns as (

    select * from {{ ref('stg_campaigns') }}

),

campaign_names as (

    select
        campaign_name,
        min(campaign_id) as campaign_id
    from campaigns
    group by campaign_name

),

final as (

    select
        states.order_id,
        customers.customer_id,
        states.order_date,
        states.order_currency,
        case
            when states.is_cancelled then 'cancelled'
            when sums.revenue > 0 and sums.refunded_revenue >= sums.revenue then 'refunded'
            when sums.refunded_revenue > 0 then 'partly refunded'
            else 'completed'
        end as order_status,
        states.sales_channel,
        states.store_id,
        states.coupon,
        coalesce(by_id.campaign_id, by_name.campaign_id, states.utm_campaign) as campaign_id,
        sums.orders,
        sums.items,
        sums.discount,
        sums.tax,
        sums.shipping,
        sums.revenue,
        sums.refunded_revenue,
        sums.net_revenue,
        sums.net_revenue_order_currency
    from states
    inner join sums on states.order_id = sums.order_id
    left join states_of_customers as customers on states.order_id = customers.order_id and states.actor_id is not null
    left join campaigns as by_id on states.utm_campaign = by_id.campaign_id
    left join campaign_names as by_name on states.utm_campaign = by_name.campaign_name

)

select * from final
