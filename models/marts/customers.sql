with snapshots as (

    select * from {{ ref('customer_snapshots') }}
    where is_latest

),

customers as (

    select * from {{ ref('int_customer_snapshots') }}
    where snapshot_date = {{ as_of() }}

),

attributes as (

    select * from {{ ref('micro_attributes') }}
    where snapshot_date = {{ as_of() }}

),

contacts as (

    select * from {{ ref('int_contact_snapshots') }}
    where snapshot_date = {{ as_of() }}

),

acquisition as (

    select * from {{ ref('int_acquisition_snapshots') }}
    where snapshot_date = {{ as_of() }}

),

values_now as (

    select * from {{ ref('ltv_customer_snapshots') }}
    where snapshot_date = {{ as_of() }}

),

stays as (

    select
        customer_id,
        max(snapshot_date) as micro_segment_since
    from {{ ref('customer_snapshots') }}
    where has_entered_micro_segment
    group by customer_id

),

final as (

    select
        snapshots.customer_id,
        snapshots.macro_segment,
        snapshots.micro_segment_id,
        snapshots.micro_segment,
        case when snapshots.micro_segment_id is not null then stays.micro_segment_since end as micro_segment_since,
        attributes.lifecycle_stage,
        attributes.rfm_group,
        attributes.ltv_tier,
        customers.is_known,
        snapshots.is_buyer,
        customers.is_known
        and coalesce(contacts.is_contactable, {{ var('contactable_without_consent') }}) as is_email_contactable,
        {% for attribute in attribute_columns() if attribute not in [
            'country', 'age_band', 'lifecycle_stage', 'rfm_group', 'ltv_tier', 'acquisition_source',
        ] -%}
        attributes.{{ attribute }},
        {% endfor -%}
        attributes.country,
        attributes.age_band,
        customers.first_order_date,
        customers.last_order_date,
        cast({{ dbt.date_trunc('month', 'customers.first_order_date') }} as date) as cohort_month,
        attributes.acquisition_source,
        acquisition.acquisition_campaign as acquisition_campaign_id,
        snapshots.orders,
        snapshots.revenue,
        snapshots.net_revenue,
        snapshots.net_revenue_365d,
        snapshots.days_since_last_order,
        snapshots.average_days_between_orders,
        values_now.expected_next_order_date,
        snapshots.ltv_status,
        snapshots.probability_alive,
        values_now.churn_risk,
        {% for days in ltv_horizons() -%}
        snapshots.expected_orders_{{ days }}d,
        {% endfor -%}
        snapshots.expected_spend,
        snapshots.historic_ltv,
        snapshots.predicted_ltv_90d,
        snapshots.predicted_ltv_180d,
        snapshots.predicted_ltv_365d,
        snapshots.predicted_ltv_365d_low,
        snapshots.predicted_ltv_365d_high,
        snapshots.predicted_ltv_1095d
    from snapshots
    inner join customers on snapshots.customer_id = customers.customer_id
    inner join attributes on snapshots.customer_id = attributes.customer_id
    left join contacts on snapshots.customer_id = contacts.customer_id
    left join acquisition on snapshots.customer_id = acquisition.customer_id
    left join values_now on snapshots.customer_id = values_now.customer_id
    left join stays on snapshots.customer_id = stays.customer_id

)

select * from final
