with {{ ltv_statistics_rows() }},

final as (

    select
        cutoff_date,
        role,
        macro_segment,
        frequency,
        -- whole cents are exact, and equal rows group
        cast(round(repeat_spend * 100) as bigint) as repeat_spend_cents,
        count(*) as customers
    from statistics_rows
    where
        frequency > 0
        and repeat_spend > 0
    group by cutoff_date, role, macro_segment, frequency, repeat_spend

)

select
    cutoff_date,
    role,
    macro_segment,
    frequency,
    repeat_spend_cents,
    customers
from final
