-- How large each segment of a month-end will be at the next one, by that month-end's own rules. It moves customers as
-- they moved in the month before:
--   c(i, j): customers of the month-end before who were in segment i and are in j, or gone; m(i): their sum over j
--   stay: the share of all of them with i = j; arrivals(j): the share of all others who went to j
--   p(i, j) = (c(i, j) + 5 (stay [i = j] + (1 - stay) arrivals(j))) / (m(i) + 5): 5 pseudo-customers move as all do
--   expected size of j = sum over i of size(i) p(i, j), + new(j), as many newcomers as in the month before
--   its variance = sum over i of size(i) p (1 - p) (size(i) + A) / (A + 1) with A = m(i) + 5 (what customers do, and
--   how little is known of p: Dirichlet-multinomial), + 2 new(j) (counts of two months, Poisson)
{% set pseudo_customers = 5 -%}
with transitions as (

    select * from {{ ref('micro_transitions') }}
    where snapshot_date in ({{ snapshots_to_build() }})

),

sizes as (

    select
        snapshot_date,
        to_id as micro_segment_id,
        sum(customers) as customers,
        sum(case when from_id is null then customers else 0 end) as newcomers
    from transitions
    where to_id is not null
    group by snapshot_date, to_id

),

origins as (

    select
        snapshot_date,
        from_id,
        sum(customers) as customers
    from transitions
    where from_id is not null
    group by snapshot_date, from_id

),

totals as (

    select
        snapshot_date,
        cast(sum(case when from_id = to_id then customers else 0 end) as double) / sum(customers) as stay,
        nullif(sum(case when from_id = to_id then 0 else customers end), 0) as movers
    from transitions
    where from_id is not null
    group by snapshot_date

),

arrivals as (

    select
        snapshot_date,
        to_id,
        sum(customers) as customers
    from transitions
    where from_id <> to_id
    group by snapshot_date, to_id

),

pairs as (

    select
        sizes.snapshot_date,
        sizes.micro_segment_id as from_id,
        targets.micro_segment_id as to_id,
        sizes.customers as size,
        coalesce(origins.customers, 0) as customers_from,
        coalesce(transitions.customers, 0) as customers,
        coalesce(totals.stay, 1) as stay,
        coalesce(cast(arrivals.customers as double) / totals.movers, 0) as arrivals
    from sizes
    inner join sizes as targets on sizes.snapshot_date = targets.snapshot_date
    left join totals on sizes.snapshot_date = totals.snapshot_date
    left join origins on sizes.snapshot_date = origins.snapshot_date and sizes.micro_segment_id = origins.from_id
    left join arrivals on targets.snapshot_date = arrivals.snapshot_date and targets.micro_segment_id = arrivals.to_id
    left join transitions
        on
            sizes.snapshot_date = transitions.snapshot_date
            and sizes.micro_segment_id = transitions.from_id
            and targets.micro_segment_id = transitions.to_id

),

chances as (

    select
        snapshot_date,
        to_id,
        size,
        customers_from + {{ pseudo_customers }} as weight,
        (
            customers
            + {{ pseudo_customers }} * (case when from_id = to_id then stay else 0 end + (1 - stay) * arrivals)
        ) / (customers_from + {{ pseudo_customers }}) as chance
    from pairs

),

expected as (

    select
        snapshot_date,
        to_id,
        sum(cast(round(size * chance, 6) as decimal(18, 6))) as customers,
        sum(cast(
            round(size * chance * (1 - chance) * (size + weight) / (weight + 1), 6) as decimal(18, 6)
        )) as variance
    from chances
    group by snapshot_date, to_id

),

final as (

    select
        sizes.snapshot_date,
        cast({{ dbt.last_day(dbt.dateadd('day', 1, 'sizes.snapshot_date'), 'month') }} as date) as target_date,
        sizes.micro_segment_id,
        cast(sizes.customers as bigint) as customers,
        cast(expected.customers + sizes.newcomers as decimal(18, 6)) as predicted_customers,
        cast(expected.variance + 2 * sizes.newcomers as decimal(18, 6)) as variance
    from sizes
    inner join expected on sizes.snapshot_date = expected.snapshot_date and sizes.micro_segment_id = expected.to_id

)

select * from final
