with steps as (

    select * from {{ ref('micro_audience_steps') }}

),

members as (

    select * from {{ ref('micro_audience_members') }}
    where snapshot_date = {{ as_of() }}

),

customers as (

    select * from {{ ref('customers') }}

),

minimum as (

    select min_customers
    from {{ ref('micro_segment_layers') }}
    where macro_segment = '*' and layer = 0

),

rules as (

    select
        audience_id,
        max(audience) as audience,
        {{ sorted_text('rule', separator=' and ', order_by='step') }} as rule
    from steps
    group by audience_id

),

sizes as (

    select
        members.audience_id,
        count(*) as customers,
        count_if(customers.is_email_contactable) as email_contactable_customers,
        sum(customers.predicted_ltv_365d) as predicted_ltv_365d
    from members
    inner join customers on members.customer_id = customers.customer_id
    group by members.audience_id

),

judged as (

    select
        rules.audience_id,
        rules.audience,
        rules.rule,
        coalesce(sizes.customers, 0) as customers,
        sizes.email_contactable_customers,
        sizes.predicted_ltv_365d,
        coalesce(sizes.customers, 0) < minimum.min_customers as is_too_small
    from rules
    cross join minimum
    left join sizes on rules.audience_id = sizes.audience_id

),

final as (

    select
        audience_id,
        audience,
        rule,
        customers,
        cast(case when not is_too_small then email_contactable_customers end as bigint) as email_contactable_customers,
        cast(case when not is_too_small then predicted_ltv_365d end as decimal(18, 2)) as predicted_ltv_365d,
        is_too_small,
        cast(null as date) as last_exported_date
    from judged

)

select * from final
