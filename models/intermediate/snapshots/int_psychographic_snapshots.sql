-- How the customer lives and what they like, as stated and known on the snapshot date.
with snapshots as (

    select
        snapshot_date,
        customer_id
    from {{ ref('int_customer_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

traits as (

    select * from {{ ref('int_trait_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

final as (

    select
        snapshots.snapshot_date,
        snapshots.customer_id,
        {% for attribute in ['interests', 'personal_values', 'personality', 'style'] -%}
        coalesce(traits.{{ attribute }}, 'unknown') as {{ attribute }},
        {% endfor -%}
        coalesce(traits.lifestyle, 'unknown') as lifestyle,
        case
            when traits.lifestyle is not null then 'declared'
            else 'unknown'
        end as lifestyle_basis,
        coalesce(traits.main_interest, 'unknown') as main_interest,
        case
            when traits.main_interest is not null then 'declared'
            else 'unknown'
        end as main_interest_basis
    from snapshots
    left join traits
        on snapshots.snapshot_date = traits.snapshot_date and snapshots.customer_id = traits.customer_id

)

select * from final
