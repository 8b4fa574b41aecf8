-- Recency, frequency and monetary scores of the buyers, and the named group of the three.
with buyers as (

    select * from {{ ref('int_customer_snapshots') }}
    where is_buyer and snapshot_date in ({{ snapshots_to_build() }})

),

-- The share of the buyers who are below. Equal customers have equal shares, so that no tie is cut in two.
ranked as (

    select
        snapshot_date,
        customer_id,
        percent_rank() over (
            partition by snapshot_date order by days_since_last_order desc nulls first
        ) as recency_share,
        percent_rank() over (partition by snapshot_date order by orders nulls first) as frequency_share,
        percent_rank() over (partition by snapshot_date order by net_revenue nulls first) as monetary_share
    from buyers

),

scored as (

    select
        ranked.snapshot_date,
        ranked.customer_id,
        recency_score_bands.band as recency_score,
        frequency_score_bands.band as frequency_score,
        monetary_score_bands.band as monetary_score
    from ranked
    {{- join_bands({
        'recency_score': 'ranked.recency_share',
        'frequency_score': 'ranked.frequency_share',
        'monetary_score': 'ranked.monetary_share',
    }, 'quantile_bands') }}

),

kinds as (

    select distinct
        recency_score,
        frequency_score,
        monetary_score
    from scored

),

grouped as (

    select
        kinds.*,
        rules.rfm_group
    from kinds
    inner join {{ ref('rfm_groups') }} as rules
        on
            cast(kinds.recency_score as integer)
            between coalesce(rules.recency_from, 1) and coalesce(rules.recency_to, 5)
            and cast(kinds.frequency_score as integer)
            between coalesce(rules.frequency_from, 1) and coalesce(rules.frequency_to, 5)
            and cast(kinds.monetary_score as integer)
            between coalesce(rules.monetary_from, 1) and coalesce(rules.monetary_to, 5)
    qualify
        row_number() over (
            partition by kinds.recency_score, kinds.frequency_score, kinds.monetary_score
            order by rules.priority nulls last
        ) = 1

),

final as (

    select
        scored.snapshot_date,
        scored.customer_id,
        scored.recency_score,
        scored.frequency_score,
        scored.monetary_score,
        grouped.rfm_group
    from scored
    left join grouped
        on
            scored.recency_score = grouped.recency_score
            and scored.frequency_score = grouped.frequency_score
            and scored.monetary_score = grouped.monetary_score

)

select * from final
