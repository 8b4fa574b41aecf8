with measures as (

    select * from {{ ref('micro_segment_measures') }}

),

rules as (

    select * from {{ ref('macro_segment_rules') }}

),

bases as (

    select
        macro_segment,
        max(last_snapshot_date) as last_snapshot_date
    from {{ ref('micro_segments') }}
    group by macro_segment

),

now as (

    select * from measures
    where micro_segment_id is null and snapshot_date = {{ as_of() }}

),

micro_counts as (

    select
        macro_segment,
        count(*) as micro_segments
    from measures
    where micro_segment_id is not null and snapshot_date = {{ as_of() }}
    group by macro_segment

),

-- Several rules may draw one macro-segment.
rule_texts as (

    select
        macro_segment,
        min(priority) as priority,
        case
            when min(conditions) = '' then 'everybody whom no rule before matches'
            else {{ sorted_text('conditions', ' or ') }}
        end as rule
    from (
        select
            priority,
            macro_segment,
            substr(
                {%- for dimension in macro_dimensions() %}
                coalesce(' and {{ dimension }} = ' || {{ dimension }}, '') {{ '||' if not loop.last }}
                {%- endfor %}, 6
            ) as conditions
        from rules
    ) as each_rule
    group by macro_segment

),

final as (

    select
        bases.macro_segment,
        rule_texts.priority as rule_priority,
        case
            when bases.macro_segment = 'All customers' then 'everybody'
            when bases.macro_segment = 'Other customers' then 'all whose macro-segment is too small to be shown'
            else rule_texts.rule
        end as rule,
        coalesce(bases.last_snapshot_date = {{ as_of() }}, false) as is_current,
        coalesce(micro_counts.micro_segments, 0) as micro_segments,
        coalesce(now.customers, 0) as customers,
        coalesce(now.buyers, 0) as buyers,
        cast(coalesce(now.net_revenue_365d, 0) as decimal(18, 2)) as net_revenue_365d,
        {% for days in ltv_horizons() -%}
        now.expected_orders_{{ days }}d,
        now.predicted_ltv_{{ days }}d,
        now.predicted_ltv_{{ days }}d_low,
        now.predicted_ltv_{{ days }}d_high,
        {% endfor -%}
        coalesce(now.is_ltv_backtested, false) as is_ltv_backtested
    from bases
    left join rule_texts on bases.macro_segment = rule_texts.macro_segment
    left join now on bases.macro_segment = now.macro_segment
    left join micro_counts on bases.macro_segment = micro_counts.macro_segment

)

select * from final
