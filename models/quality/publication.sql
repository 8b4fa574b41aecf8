with publication as (

    select
        '{{ var("run_id") }}' as run_id,
        {{ as_of() }} as as_of,
        '{{ var("rules_version") }}' as rules_version,
        '{{ var("reporting_currency") }}' as reporting_currency,
        '{{ var("business_timezone") }}' as business_timezone,
        '{{ dbt_version }}' as dbt_version,
        {{ engine_version() }} as engine_version

),

-- Everybody's value: intervals of segments can't be added up to it.
everybody as (

    select
        expected.snapshot_date,
        expected.predicted_ltv as predicted_ltv_365d,
        {{ ltv_bound('-', 'expected.predicted_ltv', 'expected.standard_error', 'errors.model_error') }}
            as predicted_ltv_365d_low,
        {{ ltv_bound('+', 'expected.predicted_ltv', 'expected.standard_error', 'errors.model_error') }}
            as predicted_ltv_365d_high,
        errors.model_error is not null as is_ltv_backtested
    from {{ ref('micro_segment_values') }} as expected
    left join {{ ref('micro_model_errors') }} as errors
        on
            expected.snapshot_date = errors.snapshot_date
            and expected.level = errors.level
            and expected.horizon_days = errors.horizon_days
    where expected.level = 'all' and expected.horizon_days = 365

),

final as (

    select
        publication.run_id,
        publication.as_of,
        publication.rules_version,
        publication.reporting_currency,
        publication.business_timezone,
        everybody.predicted_ltv_365d,
        everybody.predicted_ltv_365d_low,
        everybody.predicted_ltv_365d_high,
        coalesce(everybody.is_ltv_backtested, false) as is_ltv_backtested,
        publication.dbt_version,
        publication.engine_version
    from publication
    left join everybody on publication.as_of = everybody.snapshot_date

)

select * from final
