{# Purpose: the buyers whose sufficient statistics are fitted at the month-ends that this run builds, three times over:
   `fit`, as they are at the cut-off; and of those who were buyers at the split, six months earlier, `before` as they
   were then and `after` as they are at the cut-off, both by the macro-segment of then. So a fit made with what was known
   at the split is judged by what came after it.
   Usage: after `with`; Output: CTEs that end with statistics_rows: cutoff_date, role, macro_segment, frequency,
   recency_days, age_days, repeat_spend. #}
{% macro ltv_statistics_rows() -%}
buyers as (

    select
        customers.snapshot_date,
        customers.customer_id,
        segments.macro_segment,
        customers.frequency,
        customers.recency_days,
        customers.age_days,
        customers.repeat_spend
    from {{ ref('int_customer_snapshots') }} as customers
    inner join {{ ref('macro_customer_snapshots') }} as segments
        on
            customers.snapshot_date = segments.snapshot_date
            and customers.customer_id = segments.customer_id
    where
        customers.snapshot_date = last_day(customers.snapshot_date)
        and customers.is_buyer
        and customers.frequency is not null

),

at_cutoff as (

    select
        *,
        last_day(cast({{ dbt.dateadd('month', -6, 'snapshot_date') }} as date)) as split_date
    from buyers
    where snapshot_date in ({{ snapshots_to_build() }})

),

statistics_rows as (

    select
        snapshot_date as cutoff_date,
        'fit' as role,
        macro_segment,
        frequency,
        recency_days,
        age_days,
        repeat_spend
    from at_cutoff
    union all
    select
        at_cutoff.snapshot_date as cutoff_date,
        roles.role,
        at_split.macro_segment,
        case roles.role when 'before' then at_split.frequency else at_cutoff.frequency end as frequency,
        case roles.role when 'before' then at_split.recency_days else at_cutoff.recency_days end as recency_days,
        case roles.role when 'before' then at_split.age_days else at_cutoff.age_days end as age_days,
        case roles.role when 'before' then at_split.repeat_spend else at_cutoff.repeat_spend end as repeat_spend
    from at_cutoff
    inner join buyers as at_split
        on
            at_cutoff.split_date = at_split.snapshot_date
            and at_cutoff.customer_id = at_split.customer_id
    cross join (values ('before'), ('after')) as roles (role)

)
{%- endmacro %}
