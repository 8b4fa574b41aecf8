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

final as (

    select
        run_id,
        as_of,
        rules_version,
        reporting_currency,
        business_timezone,
        dbt_version,
        engine_version
    from publication

)

select * from final
