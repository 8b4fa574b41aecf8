-- Every attribute that a layer may split by, one column each, as of the snapshot date. Unknown is a value of its own;
-- what only buyers have is `none` for the others.
{% set stated = ['geographic', 'demographic', 'psychographic', 'firmographic', 'engagement'] -%}
with customers as (

    select
        snapshot_date,
        customer_id,
        is_buyer
    from {{ ref('int_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

{% for category in stated -%}
{{ category }} as (

    select * from {{ ref('int_' ~ category ~ '_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

{% endfor -%}
macro_segments as (

    select * from {{ ref('macro_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

stages as (

    select * from {{ ref('int_lifecycle_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

rfm as (

    select * from {{ ref('int_rfm_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

tiers as (

    select * from {{ ref('micro_ltv_tiers') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

acquisition as (

    select * from {{ ref('int_acquisition_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

final as (

    select
        customers.snapshot_date,
        customers.customer_id,
        macro_segments.macro_segment,
        {% for category in stated -%}
        {% for attribute in attribute_columns(category) -%}
        {{ category }}.{{ attribute }},
        {% endfor -%}
        {% endfor -%}
        coalesce(stages.lifecycle_stage, 'unknown') as lifecycle_stage,
        {% for attribute in ['rfm_group', 'recency_score', 'frequency_score', 'monetary_score'] -%}
        coalesce(rfm.{{ attribute }}, 'none') as {{ attribute }},
        {% endfor -%}
        coalesce(tiers.ltv_tier, 'none') as ltv_tier,
        coalesce(acquisition.acquisition_source, 'unknown') as acquisition_source
    from customers
    {% for relation in stated + ['macro_segments'] -%}
    inner join {{ relation }}
        on
            customers.snapshot_date = {{ relation }}.snapshot_date
            and customers.customer_id = {{ relation }}.customer_id
    {% endfor -%}
    {% for relation in ['stages', 'rfm', 'tiers', 'acquisition'] -%}
    left join {{ relation }}
        on
            customers.snapshot_date = {{ relation }}.snapshot_date
            and customers.customer_id = {{ relation }}.customer_id
    {% endfor %}
)

select * from final
