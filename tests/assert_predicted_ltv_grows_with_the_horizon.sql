-- A longer horizon holds a shorter one: anything else is an error of the scoring.
select
    snapshot_date,
    customer_id,
    predicted_ltv_90d,
    predicted_ltv_180d,
    predicted_ltv_365d,
    predicted_ltv_1095d
from {{ ref('ltv_customer_snapshots') }}
where
    predicted_ltv_90d > predicted_ltv_180d
    or predicted_ltv_180d > predicted_ltv_365d
    or predicted_ltv_365d > predicted_ltv_1095d
    or (ltv_status <> 'none' and predicted_ltv_1095d is null)
    or (ltv_status = 'modelled' and probability_alive is null)
union all
select
    snapshot_date,
    micro_segment_id,
    predicted_ltv_90d_low,
    predicted_ltv_180d_low,
    predicted_ltv_365d_low,
    predicted_ltv_1095d_low
from {{ ref('micro_segment_snapshots') }}
where
    predicted_ltv_90d_low > predicted_ltv_180d_low
    or predicted_ltv_180d_low > predicted_ltv_365d_low
    or predicted_ltv_365d_low > predicted_ltv_1095d_low
