-- Overlapping bands would count a customer twice, a gap between them would leave some out. Shares begin at 0 and end
-- above 1.
with bands as (

    select
        'bands' as seed,
        attribute,
        band,
        cast(from_value as double) as lower_bound,
        cast(below_value as double) as upper_bound
    from {{ ref('bands') }}
    union all
    select
        'quantile_bands' as seed,
        attribute,
        band,
        from_share as lower_bound,
        below_share as upper_bound
    from {{ ref('quantile_bands') }}

),

neighbours as (

    select
        *,
        lag(upper_bound) over (partition by seed, attribute order by lower_bound nulls last, band nulls last) as ended,
        lead(lower_bound) over (partition by seed, attribute order by lower_bound nulls last, band nulls last) as begins
    from bands

)

select
    seed,
    attribute,
    band
from neighbours
where
    lower_bound is null
    or upper_bound is null
    or lower_bound >= upper_bound
    or ended <> lower_bound
    or (seed = 'quantile_bands' and ended is null and lower_bound <> 0)
    or (seed = 'quantile_bands' and begins is null and upper_bound <= 1)
