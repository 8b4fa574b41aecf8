-- strata.description: CDNOW: purchases to mid-1998 of the 23,570 people who first bought there in early 1997
-- strata.source: package:lifetimes:lifetimes/datasets/CDNOW_master.txt
-- strata.business_timezone: UTC
-- strata.reporting_currency: USD

-- The file: customer, day, number of CDs, dollars; one purchase a line. It names no order, so each line is its own:
-- two lines of a customer on one day are two orders. Which CDs were bought isn't told, so the orders have no
-- products.
create table events as
with

lines as (
    select
        row_number() over () as line_number,
        regexp_extract_all(line, '\S+') as fields
    from read_csv(
            getvariable('source'),
            columns = { line: 'varchar' },
            delim = chr(1),
            quote = '',
            escape = '',
            header = false,
            parallel = false
        )
    where regexp_matches(line, '^ *[0-9]')
),

orders as (
    select
        'cdnow-' || line_number as order_id,
        cast(cast(fields[1] as integer) as varchar) as customer_id,
        strptime(fields[2], '%Y%m%d') as ordered_at,
        cast(fields[3] as integer) as number_of_cds,
        cast(fields[4] as decimal(18, 2)) as amount
    from lines
)

select
    order_id as message_id,
    'track' as type,
    'Order Completed' as event,
    cast(null as varchar) as anonymous_id,
    customer_id as user_id,
    cast(null as varchar) as previous_id,
    cast(null as varchar) as group_id,
    ordered_at as timestamp,
    cast(null as timestamp) as received_at,
    {
        order_id: order_id,
        revenue: amount,
        total: amount,
        currency: 'USD',
        channel: 'online',
        number_of_cds: number_of_cds
    } as properties,
    cast(null as varchar) as traits,
    cast(null as varchar) as context
from orders;
