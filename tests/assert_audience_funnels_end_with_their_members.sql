-- Three ways to one count: the funnel's last step, the members, and what is near less what is missing. A first step is
-- the same alone; leaving a step out never makes an audience smaller.
with funnel as (

    select
        *,
        row_number() over (partition by audience_id order by step nulls last) as step_number,
        count(*) over (partition by audience_id) as steps,
        count_if(not is_excluded) over (partition by audience_id) as included_steps
    from {{ ref('audience_funnel') }}

),

members as (

    select
        audience_id,
        count(*) as customers
    from {{ ref('audience_members') }}
    where is_current
    group by audience_id

),

near_misses as (

    select
        audience_id,
        step,
        count(*) as customers
    from {{ ref('audience_near_misses') }}
    group by audience_id, step

)

select
    funnel.audience_id,
    funnel.step,
    funnel.customers_after,
    funnel.customers_alone,
    funnel.customers_without,
    audiences.customers,
    members.customers as members,
    near_misses.customers as near_misses
from funnel
full outer join {{ ref('audiences') }} as audiences on funnel.audience_id = audiences.audience_id
left join members on audiences.audience_id = members.audience_id
left join near_misses on funnel.audience_id = near_misses.audience_id and funnel.step = near_misses.step
where
    funnel.audience_id is null
    or audiences.audience_id is null
    or audiences.customers <> coalesce(members.customers, 0)
    or (funnel.step_number = funnel.steps and funnel.customers_after <> audiences.customers)
    or (funnel.step_number = 1 and funnel.customers_after <> funnel.customers_alone)
    or funnel.customers_without < audiences.customers
    -- Where one step alone takes in, those who fit nothing miss it too, and are not near.
    or (
        (funnel.included_steps <> 1 or funnel.is_excluded)
        and funnel.customers_without - audiences.customers <> coalesce(near_misses.customers, 0)
    )
