-- How the customer lives and what they like: as stated; where nothing was stated, as what they browse and buy suggests.
-- The columns ending in _basis say which of the two it is.
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

tastes as (

    select * from {{ ref('int_interest_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

final as (

    select
        snapshots.snapshot_date,
        snapshots.customer_id,
        {% for attribute in ['interests', 'personal_values', 'personality', 'style'] -%}
        coalesce(traits.{{ attribute }}, 'unknown') as {{ attribute }},
        {% endfor -%}
        coalesce(traits.lifestyle, tastes.inferred_lifestyle, 'unknown') as lifestyle,
        case
            when traits.lifestyle is not null then 'declared'
            when tastes.inferred_lifestyle <> 'unknown' then 'inferred'
            else 'unknown'
        end as lifestyle_basis,
        coalesce(traits.main_interest, tastes.inferred_interest, 'unknown') as main_interest,
        case
            when traits.main_interest is not null then 'declared'
            when tastes.inferred_interest <> 'unknown' then 'inferred'
            else 'unknown'
        end as main_interest_basis
    from snapshots
    left join traits
        on snapshots.snapshot_date = traits.snapshot_date and snapshots.customer_id = traits.customer_id
    left join tastes
        on snapshots.snapshot_date = tastes.snapshot_date and snapshots.customer_id = tastes.customer_id

)

select * from final
