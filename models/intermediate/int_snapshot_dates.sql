with days as (

    {% for day in var('snapshots') or [var('as_of')] -%}
    select cast('{{ day }}' as date) as snapshot_date
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (

    select
        snapshot_date,
        snapshot_date = {{ as_of() }} as is_latest,
        snapshot_date = cast({{ dbt.last_day('snapshot_date', 'month') }} as date) as is_month_end,
        snapshot_date in ({{ snapshots_to_build() }}) as is_built_now
    from days

)

select * from final
