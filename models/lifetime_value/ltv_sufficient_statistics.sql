with {{ ltv_statistics_rows() }},

final as (

    select
        cutoff_date,
        role,
        macro_segment,
        frequency,
        recency_days,
        age_days,
        count(*) as customers
    from statistics_rows
    group by cutoff_date, role, macro_segment, frequency, recency_days, age_days

)

select
    cutoff_date,
    role,
    macro_segment,
    frequency,
    recency_days,
    age_days,
    customers
from final
