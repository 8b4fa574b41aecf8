with forecasts as (

    select * from {{ ref('micro_size_backtests') }}

),

nodes as (

    select * from {{ ref('micro_nodes') }}

),

final as (

    select
        forecasts.snapshot_date,
        forecasts.target_date,
        forecasts.target_date > {{ as_of() }} as is_latest,
        forecasts.micro_segment_id,
        nodes.micro_segment,
        nodes.macro_segment,
        forecasts.customers,
        {% for column in ['predicted_customers', 'predicted_customers_low', 'predicted_customers_high'] -%}
        case when forecasts.is_published then forecasts.{{ column }} end as {{ column }},
        {% endfor -%}
        forecasts.is_published,
        forecasts.is_published_reason
    from forecasts
    inner join nodes
        on forecasts.snapshot_date = nodes.snapshot_date and forecasts.micro_segment_id = nodes.node_id

)

select * from final
