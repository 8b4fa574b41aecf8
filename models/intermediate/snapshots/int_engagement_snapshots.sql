-- How the customer responds to messages, where they can be met, and what they think of the business, as known on the
-- snapshot date.
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

responses as (

    select * from {{ ref('int_response_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

surveys as (

    select * from {{ ref('int_survey_snapshots') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

bands as (

    select * from {{ ref('bands') }}

),

final as (

    select
        snapshots.snapshot_date,
        snapshots.customer_id,
        coalesce(responses.email_engagement, 'unknown') as email_engagement,
        coalesce(responses.push_engagement, 'unknown') as push_engagement,
        coalesce(traits.social_networks, 'unknown') as social_networks,
        coalesce(nps_bands.band, 'unknown') as nps_group,
        coalesce(surveys.survey_answer, 'unknown') as survey_answer
    from snapshots
    {% for relation in ['traits', 'responses', 'surveys'] -%}
    left join {{ relation }}
        on
            snapshots.snapshot_date = {{ relation }}.snapshot_date
            and snapshots.customer_id = {{ relation }}.customer_id
    {% endfor -%}
    left join bands as nps_bands on {{ in_band('nps_bands', "'nps_group'", 'surveys.nps_score', 'surveys.nps_score') }}

)

select * from final
