-- How much of the differences in later spend segments explain, beside RFM groups and macro-segments alone. Segments are
-- those of the month-end, spend is what came after it, and each customer's is predicted by the mean of the others in
-- the same group (leave-one-out), so that many small groups gain nothing by being many.
{{ config(pre_hook="{{ drop_changed_windows() }}") }}

{% set groupings = ['micro_segment', 'macro_segment', 'rfm_group'] -%}
with windows as (

    select windows.*
    from {{ ref('micro_spend_windows') }} as windows
    {% if is_incremental() -%}
    -- A window whose days were built before is as it was.
    anti join {{ this }} as done
        on windows.snapshot_date = done.snapshot_date and windows.until_date = done.until_date
    {%- endif %}

),

segments as (

    select * from {{ ref('micro_customer_snapshots') }}

),

attributes as (

    select * from {{ ref('micro_attributes') }}

),

{{ later_spend('windows') }},

customers as (

    select
        spend.snapshot_date,
        spend.until_date,
        segments.micro_segment_id as micro_segment,
        segments.macro_segment,
        attributes.rfm_group,
        spend.log_later_spend,
        cast(round(spend.log_later_spend * spend.log_later_spend, 6) as decimal(18, 6)) as squared
    from windows_spend as spend
    inner join segments
        on spend.snapshot_date = segments.snapshot_date and spend.customer_id = segments.customer_id
    inner join attributes
        on spend.snapshot_date = attributes.snapshot_date and spend.customer_id = attributes.customer_id

),

grouped as (

    select
        snapshot_date,
        until_date,
        case
            {%- for grouping in groupings %}
            when {{ grouping }} is not null then '{{ grouping }}'
            {%- endfor %}
            else 'all'
        end as grouping_name,
        cast(count(*) as double) as n,
        cast(sum(log_later_spend) as double) as total,
        cast(sum(squared) as double) as squares
    from customers
    group by grouping sets (
        {% for grouping in groupings -%}
        (snapshot_date, until_date, {{ grouping }}),
        {% endfor -%}
        (snapshot_date, until_date)
    )

),

everybody as (

    select * from grouped
    where grouping_name = 'all'

),

errors as (

    select
        grouped.snapshot_date,
        grouped.until_date,
        grouped.grouping_name,
        everybody.n as customers,
        pow(everybody.n / (everybody.n - 1), 2)
        * greatest(everybody.squares - pow(everybody.total, 2) / everybody.n, 0.0) as variation,
        round(
            case
                -- Who is alone in a group is predicted by everybody else.
                when grouped.n = 1
                    then pow(everybody.n / (everybody.n - 1) * (grouped.total - everybody.total / everybody.n), 2)
                else pow(grouped.n / (grouped.n - 1), 2)
                    * greatest(grouped.squares - pow(grouped.total, 2) / grouped.n, 0.0)
            end, 6
        ) as error
    from grouped
    inner join everybody
        on grouped.snapshot_date = everybody.snapshot_date and grouped.until_date = everybody.until_date
    where grouped.grouping_name <> 'all' and everybody.n > 1

),

final as (

    select
        snapshot_date,
        until_date,
        grouping_name,
        cast(customers as bigint) as customers,
        count(*) as group_count,
        -- No negative zero.
        0.0 + round(
            1 - cast(sum(cast(error as decimal(38, 6))) as double) / nullif(variation, 0), 6
        ) as explained_variance
    from errors
    group by snapshot_date, until_date, grouping_name, customers, variation

)

select * from final
