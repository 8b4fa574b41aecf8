-- An estimate outside its own interval, or without one, is an error of the widening.
{% for days in ltv_horizons() -%}
select
    snapshot_date,
    micro_segment_id as id,
    predicted_ltv_{{ days }}d as predicted,
    predicted_ltv_{{ days }}d_low as low,
    predicted_ltv_{{ days }}d_high as high
from {{ ref('micro_segment_snapshots') }}
where not coalesce(low <= predicted and predicted <= high, predicted is null and low is null and high is null)
union all
{% endfor -%}
select
    snapshot_date,
    customer_id as id,
    predicted_ltv_365d as predicted,
    predicted_ltv_365d_low as low,
    predicted_ltv_365d_high as high
from {{ ref('customer_snapshots') }}
where not coalesce(low <= predicted and predicted <= high, predicted is null and low is null and high is null)
union all
select
    as_of as snapshot_date,
    'everybody' as id,
    predicted_ltv_365d as predicted,
    predicted_ltv_365d_low as low,
    predicted_ltv_365d_high as high
from {{ ref('publication') }}
where not coalesce(low <= predicted and predicted <= high, predicted is null and low is null and high is null)
