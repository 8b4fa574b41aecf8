-- The reconciliation closes: no difference in any currency, and in the reporting currency it holds all that the
-- journal does.
with reconciliation as (

    select * from {{ ref('revenue_reconciliation') }}

),

totals as (

    select
        'journal' as place,
        coalesce(sum(net_revenue), 0) as amount
    from {{ ref('revenue_entries') }}
    union all
    select
        'reconciliation' as place,
        -coalesce(sum(amount_reporting_currency), 0) as amount
    from reconciliation

)

select
    order_currency,
    amount as difference
from reconciliation
where line = 'difference' and amount <> 0
union all
select
    'reporting currency' as order_currency,
    sum(amount) as difference
from totals
having sum(amount) <> 0
