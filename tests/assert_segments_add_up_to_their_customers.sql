-- Revenue is neither lost nor counted twice by segmenting: micro-segments add up to the customers at every snapshot,
-- and macro-segments to the micro-segments now.
with customers as (

    select
        snapshot_date,
        sum(net_revenue_365d) as net_revenue_365d,
        {%- for days in ltv_horizons() %}
        sum(predicted_ltv_{{ days }}d) as predicted_ltv_{{ days }}d,
        {%- endfor %}
        count_if(is_buyer) as buyers
    from {{ ref('customer_snapshots') }}
    where micro_segment_id is not null
    group by snapshot_date

),

micro as (

    select
        snapshot_date,
        sum(net_revenue_365d) as net_revenue_365d,
        {%- for days in ltv_horizons() %}
        sum(predicted_ltv_{{ days }}d) as predicted_ltv_{{ days }}d,
        {%- endfor %}
        sum(buyers) as buyers
    from {{ ref('micro_segment_snapshots') }}
    group by snapshot_date

),

macro as (

    select
        {{ as_of() }} as snapshot_date,
        sum(net_revenue_365d) as net_revenue_365d,
        {%- for days in ltv_horizons() %}
        sum(predicted_ltv_{{ days }}d) as predicted_ltv_{{ days }}d,
        {%- endfor %}
        sum(buyers) as buyers
    from {{ ref('macro_segments') }}

),

compared as (

    select
        customers.*,
        micro.net_revenue_365d as segment_net_revenue_365d,
        {%- for days in ltv_horizons() %}
        micro.predicted_ltv_{{ days }}d as segment_predicted_ltv_{{ days }}d,
        {%- endfor %}
        micro.buyers as segment_buyers
    from customers
    inner join micro on customers.snapshot_date = micro.snapshot_date
    union all
    select
        customers.*,
        macro.net_revenue_365d as segment_net_revenue_365d,
        {%- for days in ltv_horizons() %}
        macro.predicted_ltv_{{ days }}d as segment_predicted_ltv_{{ days }}d,
        {%- endfor %}
        macro.buyers as segment_buyers
    from customers
    inner join macro on customers.snapshot_date = macro.snapshot_date

)

select
    snapshot_date,
    buyers,
    segment_buyers,
    net_revenue_365d,
    segment_net_revenue_365d
from compared
where
    buyers <> segment_buyers
    or net_revenue_365d <> segment_net_revenue_365d
    {%- for days in ltv_horizons() %}
    or coalesce(predicted_ltv_{{ days }}d, 0) <> coalesce(segment_predicted_ltv_{{ days }}d, 0)
    {%- endfor %}
