-- strata.description: Your own table of orders or order lines: customer, date, amount, and what more it has
-- strata.needs_source: true
-- strata.columns: orders_csv_columns.csv

-- How a plain table becomes messages
-- * Columns are recognised by the names in orders_csv_columns.csv, whatever their case and separators. If yours has
--   another name, add a line there. A customer (or e-mail), a date and money are needed; everything else is optional.
-- * Rows of one order_id are the lines of one order. Without an order_id a customer's rows of one moment (of one day,
--   where dates have no time) are one order.
-- * Money is the first of: net_amount; total_amount less tax and shipping; line_amount; unit_price x quantity less
--   discount. A column that says the same on all rows of each order belongs to the order and counts once; otherwise
--   its rows add up.
-- * A time without an offset is business time (business_timezone).
-- * An order with a negative amount is a return: Order Refunded. What isn't known of it is left out.
-- * Nothing is dropped: what can't be understood (a date, an amount, a missing order_id) travels as it was written,
--   and is set aside with its reason when the messages are read.
-- * A message_id is made of order, version and state. In a later export a changed order is a new message (Order
--   Updated, or Order Refunded with what was refunded since), an unchanged one is not written again. A refund that
--   shrinks is not undone.

-- ---- can it be read at all? ----

create table needed as
from (
    values
    ('a customer', ['customer_id', 'email'], 1),
    ('a date', ['ordered_at'], 2),
    ('an amount', ['net_amount', 'total_amount', 'line_amount', 'unit_price'], 3)
) as needed (what, column_names, position);

create table missing as
select needed.what
from needed
where
    not exists (
        from source_columns
        where list_contains(needed.column_names, source_columns.column_name)
            and source_columns.source_column is not null
    )
order by needed.position;

select
    error(
        'no column for ' || string_agg(missing.what, ', ') || ' was recognised. The table has: '
        || (select string_agg(source_column, ', ') from source_columns)
        || '. Rename the column, or add its name to datasets/orders_csv_columns.csv (names like '
        || (select list_aggregate(flatten(list(column_names order by position)), 'string_agg', ', ') from needed)
        || ' are known).'
    )
from missing
having count(*) > 0;

-- One row: how numbers and dates are written, which column holds the money. What is ambiguous for one value is
-- decided by all.
create table reading as
with

amounts as (
    from source_rows
    unpivot (
        amount for column_name in (
            net_amount, total_amount, line_amount, unit_price, quantity, discount, tax, shipping, refunded_amount
        )
    )
),

number_style as (
    select
        min(amount) filter (where regexp_matches(amount, ',[0-9]{1,2}[^0-9]*$')) as decimal_comma,
        min(amount) filter (where regexp_matches(amount, '\.[0-9]{1,2}[^0-9]*$')) as decimal_point
    from amounts
),

dates as (
    select
        given,
        regexp_extract(given, '^([0-9]{1,2})([/.-])([0-9]{1,2})[/.-][0-9]{2,4}', ['first', 'separator', 'second'])
            as parts
    from source_rows
    unpivot (given for column_name in (ordered_at, cancelled_at, refunded_at))
),

date_style as (
    select
        min(given) filter (where try_cast(parts.first as integer) > 12) as day_first,
        min(given) filter (where try_cast(parts.second as integer) > 12) as month_first,
        min(given) filter (where parts.separator = '.') as dotted,
        min(given) filter (where parts.first != '') as any_of_them
    from dates
)

select
    case
        when decimal_comma is not null and decimal_point is not null
            then error(
                    'numbers are written both with a decimal comma (' || decimal_comma || ') and a decimal point ('
                    || decimal_point || '): write them one way.'
                )
        else decimal_comma is not null
    end as has_decimal_comma,
    case
        when day_first is not null and month_first is not null
            then error(
                    'dates are written both day first (' || day_first || ') and month first (' || month_first
                    || '): write them one way, best as YYYY-MM-DD.'
                )
        when day_first is null and month_first is null and dotted is null and any_of_them is not null
            then error(
                    'no date tells whether day or month comes first (' || any_of_them || '): write them as YYYY-MM-DD.'
                )
        else day_first is not null or (month_first is null and dotted is not null)
    end as has_day_first,
    (
        select
            arg_min(
                column_name, list_position(['net_amount', 'total_amount', 'line_amount', 'unit_price'], column_name)
            )
        from source_columns
        where source_column is not null
    ) as money_column,
    (
        select count(*) > 0
        from source_columns
        where column_name = 'order_id' and source_column is not null
    ) as has_order_id
from number_style
cross join date_style;

set variable has_decimal_comma = (select has_decimal_comma from reading);
set variable has_day_first = (select has_day_first from reading);
set variable money_column = (select money_column from reading);
set variable has_unit_price = (
    select bool_or(column_name = 'unit_price' and source_column is not null) from source_columns
);
set variable has_order_id = (select has_order_id from reading);

-- ---- how texts are understood ----

-- '1,234.50', '$ 12.00', '-5', '(5.00)', '12,50 EUR' where the decimal comma is used; null = not a number
create macro to_number(given) as case
    when
        regexp_full_match(given, '[-+]?[0-9.]+[eE][-+]?[0-9]+')
        then try_cast(try_cast(given as double) as decimal(18, 4))
    when
        regexp_full_match(
            given, '[(]?[-+]?\s*([A-Za-z]{3}|[$€£¥])?\s*[-+]?[0-9.,][0-9., '']*([A-Za-z]{3}|[$€£¥])?\s*[)]?-?'
        )
        then
            case when regexp_matches(given, '[-(]') then -1 else 1 end
            * try_cast(
                case
                    when getvariable('has_decimal_comma')
                        then replace(regexp_replace(given, '[^0-9,]', '', 'g'), ',', '.')
                    else regexp_replace(given, '[^0-9.]', '', 'g')
                end as decimal(18, 4)
            )
end;

create macro with_offset_colon(given) as
regexp_replace(
    regexp_replace(given, '\s*UTC$', 'Z'), '(:[0-9]{2}(?:\.[0-9]+)?)\s*([+-][0-9]{2}):?([0-9]{2})$', '\1\2:\3'
);

-- A date and maybe time without an offset
create macro to_local_time(given) as case
    when regexp_matches(given, '^[0-9]{4}[/-]') then try_cast(replace(given, '/', '-') as timestamp)
    when regexp_full_match(given, '[0-9]{8}') then try_strptime(given, '%Y%m%d')
    when regexp_full_match(given, '[0-9]{10}|[0-9]{13}') then make_timestamp(cast(rpad(given, 16, '0') as bigint))
    when regexp_matches(given, '^[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{2}')
        then try_strptime(
                regexp_replace(
                    case
                        when getvariable('has_day_first')
                            then regexp_replace(given, '^([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]', '\2/\1/')
                        else regexp_replace(given, '^([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]', '\1/\2/')
                    end, '^([0-9]+/[0-9]+)/([0-9]{2})($|[ ,])', '\1/20\2\3'
                ),
                ['%m/%d/%Y', '%m/%d/%Y %H:%M', '%m/%d/%Y %H:%M:%S', '%m/%d/%Y %I:%M %p', '%m/%d/%Y %I:%M:%S %p']
            )
    else try_strptime(
            regexp_replace(given, '[-,.]\s*|\s+', ' ', 'g'),
            ['%d %b %Y', '%d %B %Y', '%b %d %Y', '%B %d %Y', '%d %b %Y %H:%M:%S', '%b %d %Y %H:%M:%S']
        )
end;

create macro to_utc(given) as case
    when regexp_matches(with_offset_colon(given), ':[0-9]{2}.*(Z|[+-][0-9]{2}(:[0-9]{2})?)$')
        then timezone('UTC', try_cast(with_offset_colon(given) as timestamptz))
    when regexp_full_match(given, '[0-9]{10}|[0-9]{13}') then to_local_time(given)
    else timezone('UTC', timezone(getvariable('business_timezone'), to_local_time(given)))
end;

-- A number where it is one, otherwise what was written, so that whoever reads the message can say what was wrong
create macro to_amount_json(amount, unreadable) as
coalesce(to_json(cast(unreadable as varchar)), to_json(try_cast(amount as decimal(18, 2))));

-- ---- lines and orders ----

create table moments as
select
    ordered_at,
    to_utc(ordered_at) as happened_at
from source_rows
where ordered_at is not null
group by ordered_at;

-- Rows that nothing tells apart from others are orders of their own, told apart by what they say and how often they
-- say it.
create table lone_rows as
with

hashed as (
    select
        source_row,
        md5(cast(json_merge_patch(to_json(source_rows), '{"source_row": null}') as varchar)) as content
    from source_rows
    where
        case
            when getvariable('has_order_id') then order_id is null
            else customer_id is null and email is null
        end
)

select
    source_row,
    content || '-' || row_number() over (partition by content order by source_row) as row_key
from hashed;

create table lines as
with

joined as (
    select
        source_rows.*,
        coalesce(source_rows.customer_id, lower(source_rows.email)) as buyer_id,
        moments.happened_at,
        to_number(source_rows.quantity) as units,
        lone_rows.row_key
    from source_rows
    left join moments
        on source_rows.ordered_at = moments.ordered_at
    left join lone_rows
        on source_rows.source_row = lone_rows.source_row
)

select
    * exclude (row_key),
    case
        when row_key is not null then row_key
        when getvariable('has_order_id') then order_id
        else md5(buyer_id || ' ' || coalesce(cast(happened_at as varchar), ordered_at, ''))
    end as order_key,
    round(to_number(unit_price) * case when quantity is null then 1 else units end, 2) as priced_amount
from joined;

-- Money by order and column: added up, or once where the column repeats the order's own figure on each of its lines
create table order_money as
with

amounts as (
    select
        order_key,
        net_amount,
        total_amount,
        line_amount,
        case when getvariable('money_column') = 'unit_price' and priced_amount is null then unit_price end
            as unit_price,
        discount,
        tax,
        shipping,
        refunded_amount
    from lines
),

long as (
    from amounts
    unpivot (
        given for column_name in (
            net_amount, total_amount, line_amount, unit_price, discount, tax, shipping, refunded_amount
        )
    )
),

by_order as (
    select
        order_key,
        column_name,
        count(*) as lines,
        count(distinct given) as different,
        sum(to_number(given)) as added_up,
        max(to_number(given)) as once,
        min(given) filter (where to_number(given) is null) as unreadable
    from long
    group by order_key, column_name
),

by_column as (
    select
        column_name,
        getvariable('has_order_id')
        and column_name not in ('line_amount', 'unit_price')
        and max(lines) > 1
        and max(different) = 1 as is_of_order
    from by_order
    group by column_name
)

select
    by_order.order_key,
    by_order.column_name,
    by_column.is_of_order,
    by_order.different > 1 as has_different_lines,
    case when by_column.is_of_order then by_order.once else by_order.added_up end as amount,
    by_order.unreadable
from by_order
inner join by_column
    on by_order.column_name = by_column.column_name;

create table orders as
with

money as (
    select
        order_key,
        max(amount) filter (where column_name = 'net_amount') as net_amount,
        max(amount) filter (where column_name = 'total_amount') as total_amount,
        max(amount) filter (where column_name = 'line_amount') as line_amount,
        max(amount) filter (where column_name = 'discount') as discount,
        max(amount) filter (where column_name = 'tax') as tax,
        max(amount) filter (where column_name = 'shipping') as shipping,
        max(amount) filter (where column_name = 'refunded_amount') as refunded_amount,
        max(unreadable) filter (where column_name = getvariable('money_column')) as unreadable_amount
    from order_money
    group by order_key
),

-- Is the money that of the line? Surely where lines of an order differ; and when nothing else tells a line's price.
line_level as (
    select
        coalesce(
            bool_or(has_different_lines) or (bool_or(not is_of_order) and not getvariable('has_unit_price')), false
        ) as has_line_money
    from order_money
    where column_name = getvariable('money_column')
),

lines_with_money as (
    select
        lines.*,
        case getvariable('money_column')
            when 'net_amount' then case when line_level.has_line_money then to_number(lines.net_amount) end
            when 'total_amount' then case when line_level.has_line_money then to_number(lines.total_amount) end
            when 'line_amount' then to_number(lines.line_amount)
        end as money,
        coalesce(lines.product_id, lines.sku, lines.product_name) as product_key
    from lines
    cross join line_level
),

by_order as (
    select
        order_key,
        case
            when not getvariable('has_order_id') then order_key
            else arg_min(order_id, source_row)
        end as order_id,
        arg_min(buyer_id, source_row) as buyer_id,
        coalesce(strftime(min(happened_at), '%Y-%m-%d %H:%M:%S.%f'), min(ordered_at)) as happened_at,
        min(happened_at) as ordered_at,
        arg_min(currency, source_row) as currency,
        arg_min(coalesce(net_amount, total_amount, line_amount, unit_price), source_row) as first_amount,
        arg_min(coupon, source_row) as coupon,
        arg_min(channel, source_row) as channel,
        arg_min(store_id, source_row) as store_id,
        lower(arg_min(status, source_row)) as status,
        min(cancelled_at) as cancelled_at,
        min(refunded_at) as refunded_at,
        sum(priced_amount) as priced_amount,
        list(
            {
                product_id: product_key,
                sku: sku,
                name: product_name,
                category: category,
                brand: brand,
                quantity: cast(coalesce(units, 1) as double),
                price: coalesce(
                    cast(money / nullif(coalesce(units, 1), 0) as decimal(18, 4)), to_number(unit_price)
                )
            } order by source_row
        ) filter (where product_key is not null) as products
    from lines_with_money
    group by order_key
)

select
    by_order.* exclude (currency, first_amount, channel, priced_amount),
    case getvariable('money_column')
        when 'net_amount' then money.net_amount
        when 'total_amount' then money.total_amount - coalesce(money.tax, 0) - coalesce(money.shipping, 0)
        when 'line_amount' then money.line_amount
        else by_order.priced_amount - coalesce(money.discount, 0)
    end as revenue,
    money.unreadable_amount,
    money.discount,
    money.tax,
    money.shipping,
    abs(money.refunded_amount) as refunded_amount,
    coalesce(
        upper(by_order.currency),
        case
            when to_number(by_order.first_amount) is null then null
            when by_order.first_amount like '%€%' then 'EUR'
            when by_order.first_amount like '%£%' then 'GBP'
            else nullif(upper(regexp_extract(by_order.first_amount, '[A-Za-z]{3}')), '')
        end,
        getvariable('reporting_currency')
    ) as currency,
    case
        when lower(by_order.channel) in (
                'online', 'web', 'website', 'webshop', 'app', 'mobile', 'ecommerce', 'e-commerce'
            )
            then 'online'
        when lower(by_order.channel) in (
                'in_store', 'in-store', 'in store', 'store', 'pos', 'retail', 'offline', 'shop'
            )
            then 'in_store'
        else by_order.channel
    end as channel,
    to_utc(by_order.cancelled_at) is not null
    or coalesce(by_order.status in ('cancelled', 'canceled', 'void', 'voided'), false) as is_cancelled,
    -- no order yet, and maybe never
    coalesce(by_order.status in ('failed', 'declined', 'expired', 'abandoned', 'draft', 'unavailable'), false)
        as is_uncompleted,
    coalesce(by_order.status in ('refunded', 'returned', 'charged_back', 'chargeback'), false) as is_refunded
from by_order
left join money
    on by_order.order_key = money.order_key;

-- ---- messages ----

-- Every thing that messages are about (an order, its refunds, a customer's traits) has a state. Where the last
-- message about it says the same, that message's id is used again and nothing new is written.
create table states as
with

sold_before as (
    select distinct regexp_extract(message_id, '^(order:[0-9a-f]{32}):', 1) as entity
    from imported
),

order_states as (
    select
        order_key,
        happened_at,
        ordered_at,
        buyer_id,
        refunded_at,
        cancelled_at,
        is_cancelled or is_uncompleted as is_cancelled,
        is_uncompleted and 'order:' || md5(order_key) not in (from sold_before) as is_left_out,
        is_refunded,
        refunded_amount,
        revenue,
        currency,
        order_id,
        coalesce(revenue < 0, false) as is_return,
        to_json({
            order_id: order_id,
            revenue: to_amount_json(revenue, unreadable_amount),
            tax: try_cast(tax as decimal(18, 2)),
            shipping: try_cast(shipping as decimal(18, 2)),
            discount: try_cast(abs(discount) as decimal(18, 2)),
            coupon: coupon,
            currency: currency,
            channel: channel,
            store_id: store_id,
            -- An order with no readable amount is to be set aside, not valued by its lines.
            products: case when revenue is not null then products end
        }) as properties
    from orders
),

sales as (
    select
        'order:' || md5(order_key) as entity,
        'track' as type,
        'Order Completed' as event,
        buyer_id,
        happened_at,
        properties,
        cast(null as json) as traits,
        null as refunded_in_all
    from order_states
    where not is_return and not is_left_out
),

cancellations as (
    select
        'cancellation:' || md5(order_key) as entity,
        'track' as type,
        'Order Cancelled' as event,
        buyer_id,
        coalesce(cast(to_utc(cancelled_at) as varchar), happened_at) as happened_at,
        to_json({ order_id: order_id, currency: currency }) as properties,
        cast(null as json) as traits,
        null as refunded_in_all
    from order_states
    where is_cancelled and not is_return and not is_left_out
),

refunds as (
    select
        'refund:' || md5(order_key) as entity,
        'track' as type,
        'Order Refunded' as event,
        buyer_id,
        coalesce(cast(to_utc(refunded_at) as varchar), happened_at) as happened_at,
        to_json({ order_id: order_id, currency: currency }) as properties,
        cast(null as json) as traits,
        refunded_amount as refunded_in_all
    from order_states
    where (refunded_amount > 0 or (refunded_amount is null and is_refunded)) and not is_return and not is_left_out
),

returns as (
    select
        'return:' || md5(order_key) as entity,
        'track' as type,
        'Order Refunded' as event,
        buyer_id,
        happened_at,
        to_json({ order_id: order_id, total: -cast(revenue as decimal(18, 2)), currency: currency }) as properties,
        cast(null as json) as traits,
        null as refunded_in_all
    from order_states
    where is_return
),

people as (
    select
        buyer_id,
        max(happened_at) as happened_at,
        arg_max(lower(email), (happened_at, source_row)) as email,
        arg_max(first_name, (happened_at, source_row)) as first_name,
        arg_max(last_name, (happened_at, source_row)) as last_name,
        arg_max(gender, (happened_at, source_row)) as gender,
        arg_max(age, (happened_at, source_row)) as age,
        arg_max(birthday, (happened_at, source_row)) as birthday,
        arg_max(country, (happened_at, source_row)) as country,
        arg_max(region, (happened_at, source_row)) as region,
        arg_max(city, (happened_at, source_row)) as city,
        arg_max(postal_code, (happened_at, source_row)) as postal_code,
        arg_max(company, (happened_at, source_row)) as company
    from lines
    where buyer_id is not null and happened_at is not null
    group by buyer_id
),

identities as (
    select
        'customer:' || md5(buyer_id) as entity,
        'identify' as type,
        cast(null as varchar) as event,
        buyer_id,
        cast(happened_at as varchar) as happened_at,
        cast(null as json) as properties,
        to_json({
            email: email,
            'firstName': first_name,
            'lastName': last_name,
            gender: gender,
            age: age,
            birthday: birthday,
            address: { country: country, state: region, city: city, 'postalCode': postal_code },
            company: case when company is not null then { name: company } end
        }) as traits,
        null as refunded_in_all
    from people
    where
        coalesce(email, first_name, last_name, gender, age, birthday, country, region, city, postal_code, company)
        is not null
),

entities as (
    from sales
    union all
    from cancellations
    union all
    from refunds
    union all
    from returns
    union all
    from identities
)

select
    *,
    case
        when entity like 'customer:%' then md5(cast(traits as varchar))
        when entity like 'refund:%' then md5(coalesce(cast(refunded_in_all as varchar), 'all'))
        else md5(concat_ws(' ', happened_at, buyer_id, cast(properties as varchar)))
    end as state
from entities;

create table events as
with

earlier as (
    select
        regexp_extract(
            message_id,
            '^((order|cancellation|refund|return|customer):[0-9a-f]{32}):([0-9]+):(.*)$',
            ['entity', 'kind', 'version', 'state']
        ) as id,
        cast(timestamp as varchar) as happened_at,
        case when event = 'Order Refunded' then cast(properties ->> '$.total' as decimal(18, 2)) end as refunded
    from imported
),

last_states as (
    select
        id.entity,
        max(cast(id.version as integer)) as version,
        arg_max(id.state, cast(id.version as integer)) as state,
        max(happened_at) as happened_at,
        sum(refunded) as refunded
    from earlier
    where id.entity != ''
    group by id.entity
),

compared as (
    select
        states.*,
        last_states.entity is not null as is_known,
        coalesce(last_states.state = states.state, false) as is_unchanged,
        coalesce(last_states.version, -1) as last_version,
        last_states.happened_at as last_happened_at,
        cast(states.refunded_in_all - coalesce(last_states.refunded, 0) as decimal(18, 2)) as refunded
    from states
    left join last_states
        on states.entity = last_states.entity
)

select
    entity || ':' || case when is_unchanged then last_version else last_version + 1 end || ':' || state as message_id,
    type,
    case when is_known and event = 'Order Completed' then 'Order Updated' else event end as event,
    cast(null as varchar) as anonymous_id,
    buyer_id as user_id,
    cast(null as varchar) as previous_id,
    cast(null as varchar) as group_id,
    -- An update counts by its time, which must not lie before what it updates.
    case when is_known and event = 'Order Completed' then greatest(happened_at, last_happened_at) else happened_at end
        as timestamp,
    cast(null as varchar) as received_at,
    case
        when refunded is not null then json_merge_patch(properties, to_json({ total: refunded }))
        else properties
    end as properties,
    traits,
    cast(null as varchar) as context
from compared
where is_unchanged or refunded is null or refunded > 0;

create table products as
select
    coalesce(product_id, sku, product_name) as product_id,
    arg_max(product_name, source_row) as product_name,
    arg_max(category, source_row) as category,
    arg_max(brand, source_row) as brand
from lines
where coalesce(product_id, sku, product_name) is not null
group by all;

-- What a person should know about this reading; `make check` shows it.
create table notes as
select 'Money is read from ' || getvariable('money_column') || '.' as note
union all
select distinct column_name || ' repeats the order''s figure on each of its lines and counts once per order.'
from order_money
where is_of_order
union all
select 'There is no order_id: the rows of one customer and moment are one order.'
where not getvariable('has_order_id')
union all
select 'Numbers have a decimal comma.'
where getvariable('has_decimal_comma')
union all
select 'Dates are written day first.'
where getvariable('has_day_first')
union all
select count(*) || ' negative orders are returns. They name no order to be taken from: see revenue_reconciliation.'
from states
where entity like 'return:%'
having count(*) > 0
union all
select count(*) || ' orders are cancelled.'
from orders
where is_cancelled
having count(*) > 0
union all
select
    count(*) || ' orders have a status that means they were not completed: left out until an export says they were; '
    || 'cancelled, where an earlier one did.'
from orders
where is_uncompleted and not is_cancelled
having count(*) > 0;
