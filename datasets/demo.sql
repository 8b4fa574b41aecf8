-- strata.description: A synthetic shop whose truth is known, purchases and campaign effects, with the dirt of real life
-- strata.size: 10000
-- strata.business_timezone: America/New_York
-- strata.reporting_currency: USD

-- The demo shop. It is also the reference for writing a dataset file of your own: whatever the steps before are, a
-- script must leave behind a relation `events` with the columns of the raw event contract, and may leave the reference
-- tables `products`, `campaigns`, `places`, `stores` and `exchange_rates`. What is planted, and at which rates, is told
-- in demo.md.
--
-- Session variables, both optional
--   size    people, about a third of whom become known (default 10000); about 32 messages a person
--   until   events with a later received_date are left out (default: none is). Nothing else depends on it, so that a
--           later `until` gives exactly a superset, row for row
--
-- How it is built: narrow base tables (people, orders, visits, mailings, ...) hold integers only: each row is one
-- person, one order, one visit. A script table says which messages make up a visit, and views join the two and write
-- the JSON. The day of receipt is a column of the base tables, so a filter on `events.received_date` is evaluated
-- there, before a single JSON string is built; and they are sorted by it, so that a range of days is read as a whole,
-- and not picked out of all days' rows.

------------------------------------------------------------------------------------------------------------------------
-- 1. Chance without randomness, the calendar, money
------------------------------------------------------------------------------------------------------------------------

-- A uniform number in (0, 1) is a function of a salt (which draw is it?) and a key (whose?). The outer hash is needed:
-- one hash of several arguments only xors the arguments' hashes, so that two salts would give two strongly dependent
-- numbers for the same key.
create or replace macro uniform(salt, key) as (cast(hash(hash(salt, key)) >> 11 as double) + 0.5) / 9007199254740992.0;
create or replace macro pick(salt, key, choices) as cast(hash(hash(salt, key)) % choices as integer);

-- Exact gamma variates, by shape: an exponential has shape 1, half a squared normal (Box and Muller 1958) shape 1/2;
-- shapes add up.
create or replace macro gamma_3_halves(salt, key) as
    -ln(uniform(salt || '1', key)) - ln(uniform(salt || '2', key))
        * power(cos(2 * pi() * uniform(salt || '3', key)), 2);
create or replace macro gamma_4(salt, key) as
    -ln(uniform(salt || '1', key) * uniform(salt || '2', key))
        - ln(uniform(salt || '3', key) * uniform(salt || '4', key));

-- Days are counted from 2025-01-01 (day 0), moments in seconds from its midnight: local ones by the shop's clock (New
-- York), the others in UTC. The clocks go forward on 2025-03-09 (day 67) and back on 2025-11-02 (day 305), at two in
-- the morning.
create or replace macro last_day() as 423;
create or replace macro last_second() as 424 * 86400 + 18000 - 1;
create or replace macro to_utc(local_second) as
    local_second
        + case when local_second between 67 * 86400 + 7200 and 305 * 86400 + 7199 then 14400 else 18000 end;
create or replace macro day_date(day_number) as date '2025-01-01' + cast(day_number as integer);
create or replace macro iso(utc_second) as
    strftime(make_timestamp((1735689600 + cast(utc_second as bigint)) * 1000000), '%Y-%m-%dT%H:%M:%SZ');
create or replace macro weekday(day_number) as (day_number + 2) % 7;    -- 0 is Monday

-- A time of day, in seconds: few visits at night, most in the afternoon.
create or replace macro time_of_day(salt, key) as
    cast(floor(86400 * (0.25 + 0.37 * (uniform(salt || 'hour', key) + uniform(salt || 'minute', key)))) as integer);

-- Amounts are whole cents until they are written.
create or replace macro money(cents) as cast(cast(cents as decimal(16, 0)) * 0.01 as varchar);

-- USD for one unit. Banks quote on weekdays only: a weekend has Friday's rate.
create or replace macro quoted_day(day_number) as greatest(0, day_number - greatest(0, weekday(day_number) - 4));
create or replace macro usd_rate(currency_code, quote_day) as case currency_code
    when 'EUR' then round(1.09 + 0.05 * sin(quote_day / 40.0) + 0.004 * sin(quote_day * 1.7), 4)
    when 'CAD' then round(0.72 + 0.02 * sin(quote_day / 55.0) + 0.002 * sin(quote_day * 2.3), 4)
    else 1.0
end;

-- Identities. The digit in a user_id is the customer group, as shops have number ranges for kinds of accounts.
create or replace macro user_id_of(customer_group, person_no) as 'C' || customer_group || '-'
    || lpad(cast(person_no as varchar), 7, '0');
create or replace macro device_id_of(device_no, is_app) as if(is_app, 'app-', 'web-')
    || lower(to_hex(hash(hash('device', device_no))));

create or replace table settings as
select
    cast(coalesce(getvariable('size'), '10000') as bigint) as size,
    cast(coalesce(getvariable('until'), '2199-12-31') as date) as until_date;

------------------------------------------------------------------------------------------------------------------------
-- 2. The truth. Steps below read these numbers from here, wherever the parameter is free; r = 3/2, p = 4 and q = 4 are
--    the shapes that gamma_3_halves and gamma_4 draw from.
------------------------------------------------------------------------------------------------------------------------

create or replace table truth (parameter varchar, value double, meaning varchar);
insert into truth values
    ('r', 1.5, 'MBG/NBD: shape of the purchase rate among customers'),
    ('alpha', 8.0, 'MBG/NBD: rate of the purchase rate, in weeks'),
    ('a', 1.0, 'MBG/NBD: beta of the dropout probability after each purchase, the first too'),
    ('b', 3.0, 'MBG/NBD: second parameter of that beta'),
    ('p', 4.0, 'Gamma-Gamma: shape of a customer''s order amounts'),
    ('q', 4.0, 'Gamma-Gamma: shape of the customers'' rates'),
    ('gamma', 45.0, 'Gamma-Gamma: rate of the customers'' rates, in USD; the mean order is p * gamma / (q - 1) = 60'),
    ('lift_orders', 0.15,
        'an experiment''s treated customer places one more order with this probability, within 7 days'),
    ('lift_revenue', 9.0, 'and so spends this much more on average, in USD per treated customer and campaign'),
    ('holdout_share', 0.3, 'share of the targeted who are held out');

-- The free ones as one row, to compute with.
create or replace table planted as
select
    max(value) filter (where parameter = 'alpha') as alpha,
    max(value) filter (where parameter = 'b') as b,
    max(value) filter (where parameter = 'gamma') as gamma,
    max(value) filter (where parameter = 'lift_orders') as lift_orders,
    max(value) filter (where parameter = 'holdout_share') as holdout_share
from truth;

------------------------------------------------------------------------------------------------------------------------
-- 3. Reference: places, stores, what is sold, campaigns, exchange rates
------------------------------------------------------------------------------------------------------------------------

create or replace table place_list as
from (values
    (0, 'US', 'New York', 'New York', '10001', 'urban', 'temperate', 'coast', 8300000, 'USD', 'en-US',
        'America/New_York', 0.08),
    (1, 'US', 'California', 'Los Angeles', '90012', 'urban', 'mediterranean', 'coast', 3800000, 'USD', 'en-US',
        'America/Los_Angeles', 0.09),
    (2, 'US', 'Illinois', 'Chicago', '60601', 'urban', 'continental', 'plain', 2700000, 'USD', 'en-US',
        'America/Chicago', 0.1),
    (3, 'US', 'Texas', 'Austin', '78701', 'urban', 'subtropical', 'hills', 970000, 'USD', 'en-US', 'America/Chicago',
        0.08),
    (4, 'US', 'Colorado', 'Boulder', '80302', 'suburban', 'semi-arid', 'mountain', 105000, 'USD', 'en-US',
        'America/Denver', 0.08),
    (5, 'US', 'Florida', 'Naples', '34102', 'suburban', 'tropical', 'coast', 20000, 'USD', 'es-US', 'America/New_York',
        0.06),
    (6, 'US', 'Massachusetts', 'Newton', '02458', 'suburban', 'continental', 'hills', 88000, 'USD', 'en-US',
        'America/New_York', 0.06),
    (7, 'US', 'Washington', 'Bellevue', '98004', 'suburban', 'oceanic', 'coast', 150000, 'USD', 'en-US',
        'America/Los_Angeles', 0.1),
    (8, 'US', 'Vermont', 'Stowe', '05672', 'rural', 'continental', 'mountain', 5200, 'USD', 'en-US', 'America/New_York',
        0.06),
    (9, 'US', 'Montana', 'Bozeman', '59715', 'rural', 'semi-arid', 'mountain', 54000, 'USD', 'en-US', 'America/Denver',
        0.0),
    (10, 'US', 'Iowa', 'Decorah', '52101', 'rural', 'continental', 'plain', 7600, 'USD', 'en-US', 'America/Chicago',
        0.06),
    (11, 'US', 'Arizona', 'Phoenix', '85004', 'urban', 'arid', 'desert', 1600000, 'USD', 'en-US', 'America/Phoenix',
        0.08),
    (12, 'US', 'Georgia', 'Decatur', '30030', 'suburban', 'subtropical', 'hills', 25000, 'USD', 'en-US',
        'America/New_York', 0.08),
    (13, 'US', 'Maine', 'Camden', '04843', 'rural', 'continental', 'coast', 5200, 'USD', 'en-US', 'America/New_York',
        0.05),
    (14, 'CA', 'Ontario', 'Toronto', 'M5H 2N2', 'urban', 'continental', 'plain', 2800000, 'CAD', 'en-CA',
        'America/Toronto', 0.13),
    (15, 'CA', 'Quebec', 'Montreal', 'H2Y 1C6', 'urban', 'continental', 'plain', 1760000, 'CAD', 'fr-CA',
        'America/Toronto', 0.15),
    (16, 'CA', 'British Columbia', 'Burnaby', 'V5H 1Z9', 'suburban', 'oceanic', 'coast', 250000, 'CAD', 'en-CA',
        'America/Vancouver', 0.12),
    (17, 'CA', 'Alberta', 'Canmore', 'T1W 1N9', 'rural', 'subarctic', 'mountain', 16000, 'CAD', 'en-CA',
        'America/Edmonton', 0.05),
    (18, 'DE', 'Berlin', 'Berlin', '10115', 'urban', 'temperate', 'plain', 3700000, 'EUR', 'de-DE', 'Europe/Berlin',
        0.19),
    (19, 'FR', 'Île-de-France', 'Paris', '75001', 'urban', 'temperate', 'plain', 2100000, 'EUR', 'fr-FR',
        'Europe/Paris', 0.2),
    (20, 'DE', 'Bavaria', 'Starnberg', '82319', 'suburban', 'continental', 'mountain', 23000, 'EUR', 'de-DE',
        'Europe/Berlin', 0.19),
    (21, 'ES', 'Catalonia', 'Girona', '17001', 'suburban', 'mediterranean', 'hills', 103000, 'EUR', 'es-ES',
        'Europe/Madrid', 0.21),
    (22, 'IE', 'Kerry', 'Dingle', 'V92', 'rural', 'oceanic', 'coast', 1700, 'EUR', 'en-IE', 'Europe/Dublin', 0.23),
    (23, 'IT', 'Tuscany', 'Pienza', '53026', 'rural', 'mediterranean', 'hills', 2100, 'EUR', 'it-IT', 'Europe/Rome',
        0.22)
) as place (
    place_no, country, region, city, postal_code, urbanicity, climate_zone, terrain, population, currency, locale,
        timezone, tax_rate
);

create or replace view places as
select country, region, city, postal_code, urbanicity, climate_zone, terrain, population from place_list;

-- A store in every large town. Customers buy in the store of their town; who lives elsewhere buys online only.
create or replace view stores as
select
    'store-' || place_no as store_id,
    'Harbour & Pine ' || city as name,
    country,
    region,
    city,
    postal_code,
    case place_no % 3 when 0 then 'mall' when 1 then 'freestanding' else 'high street' end as format
from place_list
where urbanicity = 'urban';

create or replace table category_list as
from (values
    (0, 'Outdoor', 'adventurer', ['hiking boots', 'rain jacket', 'tent for two', 'trail map'],
        ['Tent', 'Jacket', 'Boots', 'Lantern', 'Rope']),
    (1, 'Travel', 'globetrotter', ['cabin suitcase', 'flight pillow', 'passport holder', 'packing cubes'],
        ['Suitcase', 'Backpack', 'Pillow', 'Adapter', 'Pouch']),
    (2, 'Kitchen', 'home cook', ['cast iron pan', 'espresso cups', 'chef knife', 'pasta maker'],
        ['Pan', 'Knife', 'Kettle', 'Bowl', 'Board']),
    (3, 'Fitness', 'athlete', ['yoga mat', 'running shoes', 'resistance bands', 'foam roller'],
        ['Mat', 'Shoes', 'Band', 'Bottle', 'Weight']),
    (4, 'Home', 'nester', ['linen bedding', 'desk lamp', 'wool rug', 'scented candle'],
        ['Lamp', 'Rug', 'Blanket', 'Candle', 'Shelf']),
    (5, 'Technology', 'early adopter', ['noise cancelling headphones', 'smart plug', 'e-reader', 'usb hub'],
        ['Headphones', 'Speaker', 'Charger', 'Reader', 'Sensor']),
    (6, 'Fashion', 'trendsetter', ['linen shirt', 'leather belt', 'sun hat', 'wool scarf'],
        ['Shirt', 'Scarf', 'Hat', 'Belt', 'Dress']),
    (7, 'Kids', 'family', ['wooden train', 'school bag', 'bath toys', 'birthday gift'],
        ['Train', 'Puzzle', 'Bear', 'Bag', 'Game'])
) as category (category_no, category, lifestyle, keywords, nouns);

-- 800 products: per category 100 ranks of popularity over 20 steps of price, 22 % apart, from 5 to 218 USD. Rank and
-- price step are tied by step = 7 * rank + 3 * category + 8 mod 20, hence (3 being the inverse of 7) rank = 3 * (step -
-- 3 * category - 8) mod 20 + 20 * j: a product is found from its category and price by arithmetic, with no join. Of the
-- five that share a price (j) the first sells most.
create or replace macro list_price_cents(price_step) as cast(round(500 * power(1.22, price_step)) as integer);
create or replace macro price_step_of(price_cents) as
    greatest(0, least(19, cast(round(ln(price_cents / 500) / ln(1.22)) as integer)));
create or replace macro product_at(category_no, price_step, uniform_number) as
    category_no * 100 + 3 * (price_step + 52 - 3 * category_no) % 20
        + 20 * cast(floor(power(6, uniform_number)) - 1 as integer);

create or replace table product_list as
select
    category_no * 100 + popularity_rank as product_no,
    category_no,
    'P' || lpad(cast(category_no * 100 + popularity_rank as varchar), 4, '0') as product_id,
    brand || ' ' || style || ' ' || nouns[popularity_rank % 5 + 1] as product_name,
    category,
    brand,
    variant,
    list_price_cents((popularity_rank * 7 + category_no * 3 + 8) % 20) as price_cents,
    cast(round(price_cents * (0.4 + 0.25 * uniform('cost', category_no * 100 + popularity_rank))) as integer)
        as cost_cents,
    -- The product block of the messages, without braces: without and with the list price.
    '"product_id":"P' || lpad(cast(category_no * 100 + popularity_rank as varchar), 4, '0')
        || '","sku":"SKU-' || lpad(cast(category_no * 100 + popularity_rank as varchar), 4, '0') || '-'
            || left(upper(variant), 2)
        || '","category":"' || category || '","name":"' || brand || ' ' || style || ' '
            || nouns[popularity_rank % 5 + 1]
        || '","brand":"' || brand || '","variant":"' || variant || '"' as block,
    block || ',"price":' || money(price_cents) as listed_block
from category_list
cross join (select unnest(range(100))::integer as popularity_rank)
cross join lateral (
    select
        ['Harbour', 'Pine', 'Northwind', 'Alder', 'Juno', 'Tallis', 'Oro', 'Wren', 'Basalt', 'Kite'][
            (popularity_rank + category_no) % 10 + 1
        ]
            as brand,
        ['Classic', 'Light', 'Pro', 'Everyday', 'Studio', 'Heritage', 'Compact', 'Nomad', 'Soft', 'Prime', 'Alpine',
            'Urban', 'Mini', 'Grand',
            'Terra', 'Vista', 'Field', 'Coast', 'Nova', 'Arc'][popularity_rank // 5 + 1] as style,
        ['blue', 'green', 'black', 'sand'][popularity_rank % 4 + 1] as variant
) as naming;

create or replace view products as
select product_id, product_name, category, brand, cast(cost_cents * 0.01 as decimal(18, 2)) as unit_cost
from product_list;

-- Mailings go out on their start day. has_holdout marks the experiments: they go to one group of customers only, the
-- others to everybody.
create or replace table campaign_list as
from (values
    (0, 'email-2025-01', 'January newsletter', 'email', 20, 20, false, 900, 'USD'),
    (1, 'email-2025-02', 'February newsletter', 'email', 48, 48, false, 900, 'USD'),
    (2, 'email-2025-03', 'March newsletter', 'email', 76, 76, false, 900, 'USD'),
    (3, 'test-spring', 'Spring thank-you', 'email', 110, 116, true, 1500, 'USD'),
    (4, 'email-2025-05', 'May newsletter', 'email', 139, 139, false, 900, 'USD'),
    (5, 'push-summer', 'Summer push', 'push', 167, 167, false, 200, 'USD'),
    (6, 'email-2025-07', 'July newsletter', 'email', 202, 202, false, 900, 'USD'),
    (7, 'test-autumn', 'Autumn preview', 'email', 258, 264, true, 1500, 'USD'),
    (8, 'email-2025-10', 'October newsletter', 'email', 286, 286, false, 900, 'USD'),
    (9, 'email-black-friday', 'Black Friday', 'email', 330, 330, false, 1800, 'USD'),
    (10, 'push-holiday', 'Holiday push', 'push', 343, 343, false, 200, 'USD'),
    (11, 'test-winter', 'Winter warm-up', 'email', 380, 386, true, 1500, 'USD'),
    (12, 'email-2026-01', 'New year newsletter', 'email', 390, 390, false, 900, 'USD'),
    (13, 'email-2026-02', 'February 2026 newsletter', 'email', 411, 411, false, 900, 'USD'),
    (14, 'search-brand', 'search-brand', 'search', 0, 423, false, 6000, 'USD'),
    (15, 'search-generic', 'search-generic', 'search', 0, 423, false, 14000, 'USD'),
    (16, 'social-lifestyle', 'social-lifestyle', 'social', 31, 396, false, 12000, 'USD'),
    (17, 'affiliate-deals', 'affiliate-deals', 'affiliate', 90, 423, false, 5000, 'EUR'),
    (18, 'mail-catalogue', 'Autumn catalogue by post', 'mail', 270, 280, false, 4000, 'USD')
) as campaign (campaign_no, campaign_id, campaign_name, channel, start_day, end_day, has_holdout, cost_per_10000,
    currency);

create or replace view campaigns as
select
    campaign_id,
    campaign_name,
    channel,
    day_date(start_day) as started_on,
    day_date(end_day) as ended_on,
    -- A larger shop pays more.
    cast(cost_per_10000 * (select size from settings) / 10000.0 as decimal(18, 2)) as cost,
    currency
from campaign_list;

create or replace view exchange_rates as
select
    currency,
    day_date(quote_day) as rate_date,
    cast(usd_rate(currency, quote_day) as decimal(18, 4)) as rate_to_reporting
from (select unnest(['EUR', 'CAD']) as currency)
cross join (select unnest(range(last_day() + 1)) as quote_day)
where quoted_day(quote_day) = quote_day;

------------------------------------------------------------------------------------------------------------------------
-- 4. People
------------------------------------------------------------------------------------------------------------------------

-- range() is generated by one thread; what is computed from a table is computed by all.
create or replace table person_numbers as
select cast(range as integer) as person_no from range((select size from settings));

-- customer_group: 0 visitor who never logs in, 1 planted (the clean purchase process), 2 campaign (the experiments'
-- customers), 3 omnichannel (also buys in stores, changes and returns orders), 4 business, 5 lead (registered, never
-- orders). The share of the groups is exact, so that a small sample has them all: every third person is known, and
-- twenty of those make a round.
create or replace table people as
with numbered as (
    select
        person_no,
        person_no % 3 = 0 as is_known,
        person_no // 3 % 20 as slot,
        person_no // 60 as round_no,
        case
            when person_no % 3 <> 0 then 0
            when slot <= 10 then 1
            when slot <= 14 then 2
            when slot <= 17 then 3
            when slot = 18 then 4
            else 5
        end as customer_group,
        -- The number within omnichannel and within business, in order.
        case customer_group when 3 then round_no * 3 + slot - 15 when 4 then round_no end as group_member_no
    from person_numbers
),
drawn as (
    select
        numbered.*,
        gamma_3_halves('purchase rate', person_no) / planted.alpha as purchases_per_week,
        1 - power(uniform('dropout', person_no), 1 / planted.b) as dropout_probability,
        gamma_4('spend rate', person_no) / planted.gamma as spend_rate,
        -- Repeat purchases until dropout: a geometric number, which may be none.
        cast(
            least(999, floor(ln(uniform('lifetime', person_no)) / ln(1 - dropout_probability))) as integer
        ) as repeats_until_dropout,
        -- First order, or registration of a lead: most early, and one in eight in the weeks before Christmas.
        case
            when uniform('holiday newcomer', person_no) < 0.12 then 326 + pick('holiday day', person_no, 28)
            else cast(floor((last_day() + 1) * power(uniform('newcomer', person_no), 1.35)) as integer)
        end as first_order_day,
        least(first_order_day, if(customer_group in (0, 5), 0, pick('hesitation', person_no, 3))) as registered_before,
        -- The first visit comes before the registration.
        least(first_order_day - registered_before, pick('days unknown', person_no, 21)) as known_after
    from numbered
    cross join planted
)
select
    person_no,
    customer_group,
    is_known,
    group_member_no,
    purchases_per_week,
    spend_rate,
    repeats_until_dropout,
    first_order_day,
    cast(case when is_known then first_order_day - registered_before end as integer) as registered_day,
    cast(first_order_day - if(is_known, registered_before + known_after, 0) as integer) as first_seen_day,
    -- On the day of the first order, the registration comes before it.
    to_utc(registered_day * 86400 + least(
        time_of_day('registration', person_no),
        if(customer_group <> 5 and registered_before = 0, time_of_day('order', person_no * 1000::bigint) - 600, 86400)
    )) as registered_at,
    cast(floor(24 * power(uniform('place', person_no), 1.4)) as integer) as place_no,
    -- Tastes follow the purse, age follows the pace, and the source of a customer tells of both: the planted
    -- distributions stay what they are, because these are functions of what was drawn, and the segments that they make
    -- differ in what they are worth.
    4 / spend_rate + 30 * (uniform('purse', person_no) - 0.5) as purse,
    case
        when purse > 70 then [1, 5, 1, 0, 4, 5, 1, 6]
        when purse > 48 then [0, 4, 5, 3, 6, 0, 4, 2]
        else [7, 2, 3, 7, 2, 6, 7, 3]
    end[pick('taste', person_no, 8) + 1] as favourite_category_no,
    least(84, 19 + pick('age', person_no, 14) + pick('more age', person_no, 20)
        + case when purchases_per_week > 0.2 then 18 when purchases_per_week > 0.08 then 9 else 0 end) as age,
    -- 0 window-shopper, 1 bargain hunter, 2 searcher, 3 wisher and sharer, 4 abandoner of carts
    if(is_known, pick('habit', person_no, 5), [0, 0, 0, 0, 1, 2, 2, 4][pick('habit', person_no, 8) + 1]) as habit,
    pick('app', person_no, 100) < 35 as has_app,
    pick('apple mail', person_no, 100) < 30 as has_mail_proxy,
    -- Consent: nothing was ever asked from one in ten; experiments need reachable people.
    case
        when not is_known then null
        when customer_group = 2 or person_no % 99 = 9 then true
        when pick('consent', person_no, 100) < 10 then null
        else pick('consent', person_no, 100) < 85
    end as email_consent,
    -- The newsletter after which the person unsubscribes; 99: never.
    case when customer_group <> 2 and pick('unsubscribe', person_no, 100) < 14
        then [4, 6, 8, 9, 12, 13][pick('unsubscribe at', person_no, 6) + 1] else 99 end as last_campaign_no,
    person_no % 99 = 9 as has_dead_mailbox,
    -- The campaign (number) that brought the person, or none.
    case
        when purchases_per_week * 60 / spend_rate > 130 and pick('source', person_no, 100) < 45 then 14
        when pick('source', person_no, 100) < 15 then 15
        when pick('source', person_no, 100) < 30 then 16
        when pick('source', person_no, 100) < 36 then 17
    end as source_campaign_no,
    -- Some families share a device: it belongs to the known person before.
    case when is_known and person_no % 150 = 21 then person_no - 3 else person_no end as web_device_no
from drawn;

------------------------------------------------------------------------------------------------------------------------
-- 5. Orders
------------------------------------------------------------------------------------------------------------------------

-- Who was targeted by which experiment, and who was held out.
create or replace table experiment_members as
select
    people.person_no,
    campaign_list.campaign_no,
    campaign_list.start_day,
    people.person_no * 100::bigint + campaign_list.campaign_no as member_key,
    uniform('held out', member_key) < planted.holdout_share as is_held_out
from people
inner join campaign_list on campaign_list.has_holdout and people.registered_day < campaign_list.start_day
cross join planted
where people.customer_group = 2;

-- The planted process: gaps between purchases are exponential, rounded to whole days, at least one. Rounding every gap,
-- instead of cutting off the sum, keeps two purchases of one day from becoming one, which would bend the process.
create or replace table purchases as
with repeats as (
    select
        person_no,
        purchase_no,
        case
            when purchase_no = 0 then first_order_day
            else greatest(
                1, round(-ln(uniform('gap', person_no * 1000::bigint + purchase_no)) * 7 / purchases_per_week)
            )
        end as step_days
    from people,
        -- Never cut short: the number of purchases that fit is Poisson, and lies below its mean by 8 standard
        -- deviations and 12.
        unnest(range(0, 1 + cast(least(
            repeats_until_dropout,
            12 + (last_day() - first_order_day) / 7.0 * purchases_per_week
                + 8 * sqrt((last_day() - first_order_day) / 7.0 * purchases_per_week)
        ) as bigint))) as series (purchase_no)
    where customer_group between 1 and 4
),
dated as (
    select
        person_no,
        purchase_no,
        sum(step_days) over (partition by person_no order by purchase_no rows unbounded preceding) as day_number
    from repeats
),
-- What the experiments add.
lifted as (
    select person_no, 900 + campaign_no as purchase_no, start_day + pick('lift day', member_key, 7) as day_number
    from experiment_members
    cross join planted
    where not is_held_out and uniform('lifted', member_key) < planted.lift_orders
),
-- Few visitors order without an account.
guests as (
    select person_no, 0 as purchase_no, first_order_day as day_number
    from people
    where customer_group = 0 and pick('guest', person_no, 100) < 3
)
select person_no, cast(purchase_no as integer) as purchase_no, cast(day_number as integer) as day_number
from dated
where day_number <= last_day()
union all
select person_no, purchase_no, cast(day_number as integer) from lifted
union all
select person_no, cast(purchase_no as integer), day_number from guests;

-- order_case: what happens to an order afterwards; 0 nothing. Only omnichannel customers have other cases: the first
-- ten show one each, later ones by chance, and every fifth customer returns more than others.
--   1 updated  2 cancelled  3 sent again by another message  4 several partial refunds
--   5 refunded for more than was paid  6 refund without an amount  7 refunded before it is known
--   8 one product returned  9 all returned  10 updated, then cancelled
create or replace table orders as
with keyed as (
    select
        purchases.person_no * 1000::bigint + purchases.purchase_no as order_key,
        purchases.person_no,
        purchases.purchase_no,
        purchases.day_number,
        people.customer_group,
        people.favourite_category_no,
        people.web_device_no,
        people.has_app,
        people.place_no,
        place_list.currency,
        place_list.tax_rate,
        usd_rate(place_list.currency, quoted_day(purchases.day_number)) as rate,
        gamma_4('spend', order_key) / people.spend_rate * if(people.customer_group = 4, 5, 1) as spend_usd,
        case
            when pick('lines', order_key, 100) < 55 then 1
            when pick('lines', order_key, 100) < 85 then 2
            else 3
        end as lines,
        pick('coupon', order_key, 100) < 20 as has_coupon,
        people.customer_group = 3 and place_list.urbanicity = 'urban' and purchases.purchase_no > 0
            and pick('in store', order_key, 100) < 60 as is_in_store,
        pick('app order', order_key, 100) < 40 and people.has_app as is_app,
        case
            when people.customer_group <> 3 then 0
            when purchases.purchase_no = 0 and people.group_member_no < 10
                then [1, 10, 3, 4, 5, 6, 7, 8, 9, 2][people.group_member_no + 1]
            else coalesce(
                [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 6, 7, 8, 8, 8, 8, 8, 8, 8, 8, 9, 9, 9, 9, 10][
                    1 + pick('case', order_key, if(people.group_member_no % 5 = 0, 50, 120))
                ],
                0
            )
        end as order_case
    from purchases
    inner join people on people.person_no = purchases.person_no
    inner join place_list on place_list.place_no = people.place_no
),
-- A line is found from the amount that it should have: the product whose list price is nearest, sold at the price of
-- the day.
sized as (
    select
        *,
        spend_usd * 100 / if(has_coupon, 0.9, 1.0) as target_cents,
        target_cents * [1.0, 0.65, 0.5][lines] as target_1,
        target_cents * [null, 0.35, 0.3][lines] as target_2,
        target_cents * [null, null, 0.2][lines] as target_3,
        cast(greatest(1, ceil(target_1 / 22000)) as integer) as quantity_1,
        cast(case when lines >= 2 then greatest(1, ceil(target_2 / 22000))
            + if(target_2 > 2000, pick('two', order_key, 2), 0) end as integer)
            as quantity_2,
        cast(case when lines >= 3 then greatest(1, ceil(target_3 / 22000)) end as integer) as quantity_3,
        cast(greatest(1, round(target_1 / quantity_1 / rate)) as bigint) as unit_cents_1,
        cast(greatest(1, round(target_2 / quantity_2 / rate)) as bigint) as unit_cents_2,
        cast(greatest(1, round(target_3 / quantity_3 / rate)) as bigint) as unit_cents_3
    from keyed
),
priced as (
    select
        * exclude (tax_rate),
        -- Two lines in three come from the favourite category.
        if(pick('like 1', order_key, 3) < 2, favourite_category_no, pick('other 1', order_key, 8)) as category_no_1,
        if(pick('like 2', order_key, 3) < 2, favourite_category_no, pick('other 2', order_key, 8)) as category_no_2,
        if(pick('like 3', order_key, 3) < 2, favourite_category_no, pick('other 3', order_key, 8)) as category_no_3,
        product_at(category_no_1, price_step_of(target_1 / quantity_1), uniform('rank 1', order_key)) as product_no_1,
        product_at(category_no_2, price_step_of(target_2 / quantity_2), uniform('rank 2', order_key)) as product_no_2,
        product_at(category_no_3, price_step_of(target_3 / quantity_3), uniform('rank 3', order_key)) as product_no_3,
        unit_cents_1 * quantity_1 + coalesce(unit_cents_2 * quantity_2, 0)
            + coalesce(unit_cents_3 * quantity_3, 0) as gross_cents,
        cast(if(has_coupon, round(gross_cents * 0.1), 0) as bigint) as discount_cents,
        gross_cents - discount_cents as subtotal_cents,
        case
            when is_in_store then 'pickup'
            when pick('shipping', order_key, 100) < 18 then 'express'
            else 'standard'
        end as shipping_method,
        cast(case when shipping_method = 'pickup' then 0 when shipping_method = 'express' then 1495
            when subtotal_cents >= 7500 then 0
            else 595 end as bigint) as shipping_cents,
        cast(round(subtotal_cents * tax_rate) as bigint) as tax_cents
    from sized
),
timed as (
    select
        *,
        -- Steps of one visit follow each other after `pace_seconds`; a visit ends within its business day.
        10 + pick('pace', order_key, 40) as pace_seconds,
        to_utc(day_number * 86400 + least(85000, time_of_day('order', order_key))) as started
    from priced
),
-- The collector's side. 1: sent twice; 2: sent again days later, with another timestamp (both keep the message ids); 3:
-- sent late. Orders of the planted customers are never late, so that the process is whole at any cut-off.
delivered as (
    select
        *,
        case
            when customer_group = 4 and person_no < 60 and purchase_no = 0 then 3
            when customer_group in (3, 4) and pick('late', order_key, 100) < 2 then 3
            when is_in_store then 0
            when purchase_no = 0 and person_no // 3 < 6 then person_no // 3 % 3
            when pick('delivery', order_key, 1000) < 5 then 1
            when pick('delivery', order_key, 1000) < 8 then 2
            else 0
        end as delivery_case
    from timed
)
select
    * exclude (
        delivery_case, target_cents, target_1, target_2, target_3, category_no_1, category_no_2, category_no_3,
            favourite_category_no, spend_usd
    ),
    -- The last of the visit's steps, see order_script.
    started + pace_seconds * if(is_in_store, 0, 7 + 2 * lines + if(has_coupon, 2, 0)) as completed,
    if(is_in_store, 0, lines + if(has_coupon, 3, 0)) as script_no,
    cast(case
        when copy_no = 1 and delivery_case = 2 then 86400 * least(2 + pick('days after', order_key, 4),
            last_day() - day_number)
        else 0
    end as integer) as shift_seconds,
    cast(case
        when delivery_case = 3 then 86400 * least(2 + pick('days late', order_key, 60), last_day() - day_number)
        else shift_seconds
    end as integer) as delay,
    least(last_second(), completed + 2 + delay) as received,
    day_date(received // 86400) as received_date
from delivered, unnest(if(delivery_case in (1, 2), [0, 1], [0])) as copies (copy_no)
order by received_date;

------------------------------------------------------------------------------------------------------------------------
-- 6. Visits that end without an order
------------------------------------------------------------------------------------------------------------------------

-- What happens in a visit. `item`: which of the visit's two products a step is about.
create or replace table visit_kinds as
from (values
    (0, 'glance', ['page']),
    (1, 'browse', ['page', 'Product List Viewed', 'Product Viewed 1', 'Product Viewed 2']),
    (2, 'search', ['page', 'Products Searched', 'Product Clicked 1', 'Product Viewed 1']),
    (3, 'filter', ['page', 'Product List Viewed', 'Product List Filtered', 'Product Clicked 1', 'Product Viewed 1']),
    (4, 'promotion', ['page', 'Promotion Viewed', 'Promotion Clicked', 'Product Viewed 1', 'Product Viewed 2']),
    (5, 'wish', ['page', 'Product Viewed 1', 'Product Added to Wishlist 1']),
    (6, 'wish come true', ['page', 'Wishlist Product Added to Cart 1', 'Product Removed from Wishlist 1',
        'Cart Viewed']),
    (7, 'cart left', ['page', 'Product List Viewed', 'Product Viewed 1', 'Product Added 1', 'Product Viewed 2',
        'Product Added 2',
        'Product Removed 2', 'Cart Viewed']),
    (8, 'checkout left', ['page', 'Products Searched', 'Product Viewed 1', 'Product Added 1', 'Cart Viewed',
        'Coupon Entered', 'Coupon Denied',
        'Checkout Started', 'Checkout Step Viewed']),
    (9, 'share', ['page', 'Product Viewed 1', 'Product Shared 1']),
    (10, 'share a cart', ['page', 'Product Viewed 1', 'Product Added 1', 'Cart Viewed', 'Cart Shared']),
    (11, 'coupon hunt', ['page', 'Promotion Viewed', 'Product Viewed 1', 'Product Added 1', 'Coupon Entered',
        'Coupon Applied', 'Coupon Removed',
        'Cart Viewed'])
) as kind (kind_no, kind, steps);

create or replace table visit_script as
select
    kind_no,
    step_no,
    regexp_replace(step, ' [12]$', '') as step,
    try_cast(right(step, 1) as integer) as item
from (select kind_no, unnest(steps) as step, unnest(range(len(steps)))::integer as step_no from visit_kinds);

-- The kinds of visit that a person's habit leads to, one of ten at random.
create or replace table habits as
from (values
    (0, 'window-shopper', [0, 0, 1, 1, 1, 3, 3, 2, 5, 9]),
    (1, 'bargain hunter', [0, 4, 4, 4, 11, 11, 1, 2, 3, 7]),
    (2, 'searcher', [0, 2, 2, 2, 2, 2, 3, 3, 1, 8]),
    (3, 'wisher', [0, 5, 5, 6, 6, 9, 9, 10, 1, 2]),
    (4, 'abandoner', [0, 7, 7, 7, 8, 8, 8, 10, 2, 1])
) as habit (habit, label, kinds);

create or replace table visits as
with last_orders as (
    select person_no, max(day_number) as last_order_day, max(purchase_no) filter (where purchase_no < 900) as repeats
    from orders
    where customer_group between 1 and 4
    group by person_no
),
spans as (
    select
        people.*,
        -- A customer who dropped out stays away a month after the last order; one who did not comes until the end.
        least(last_day(), case
            when people.customer_group = 0 then people.first_seen_day + pick('interest', people.person_no, 60)
            when people.customer_group = 5 then people.first_seen_day + 20 + pick('interest', people.person_no, 200)
            when last_orders.repeats >= people.repeats_until_dropout then last_orders.last_order_day + 30
            else last_day()
        end) as last_visit_day,
        cast(least(60, case
            when people.customer_group = 0 then 1 + ln(uniform('visits', people.person_no)) / ln(0.42)
            else 3 + (last_visit_day - people.first_seen_day) / 16.0 * (0.4 + 1.4 * uniform('visits', people.person_no))
        end) as integer) as planned_visits
    from people
    left join last_orders on last_orders.person_no = people.person_no
),
planned as (
    select
        *,
        person_no * 100::bigint + visit_no as visit_key,
        first_seen_day + cast(floor(
            if(visit_no = 0, 0, (last_visit_day - first_seen_day + 1) * power(uniform('visit day', visit_key), 1.2))
        ) as integer) as day_number
    from spans, unnest(range(planned_visits)) as series (visit_no)
),
-- The season: a planned visit takes place more often at the weekend, and in November and December.
seasonal as (
    select
        *,
        to_utc(day_number * 86400 + if(
            pick('night', visit_key, 100) < 4, pick('night hour', visit_key, 86400), time_of_day('visit', visit_key)
        )) as started,
        -- The collector's side of the visit. 1: sent twice; 2: sent again days later, with other timestamps; 3: sent
        -- late, from a device that was offline; 4: the device's clock is fast; 5: so fast that its messages cannot be
        -- right.
        case
            when visit_no = 0 and person_no < 72 then person_no % 6
            when pick('delivery', visit_key, 1000) < 5 then 1
            when pick('delivery', visit_key, 1000) < 8 then 2
            when pick('delivery', visit_key, 1000) < 18 then 3
            when pick('delivery', visit_key, 1000) < 23 then 4
            when pick('delivery', visit_key, 1000) < 24 then 5
            else 0
        end as delivery_case
    from planned
    where visit_no = 0
        or uniform('season', visit_key)
            < if(weekday(day_number) >= 5, 1.0, 0.8) * if(day_number between 320 and 355, 1.0, 0.7)
),
chosen as (
    select
        seasonal.*,
        habits.kinds[pick('kind', visit_key, 10) + 1] as kind_no,
        -- Two views in three are of the favourite category; within a category the products follow Zipf's law.
        100 * if(pick('like', visit_key, 3) < 2, favourite_category_no, pick('other', visit_key, 8)) as category_base,
        category_base + cast(floor(power(101, uniform('item 1', visit_key))) - 1 as integer) as product_no_1,
        category_base + cast(floor(power(101, uniform('item 2', visit_key))) - 1 as integer) as product_no_2,
        has_app and pick('app', visit_key, 100) < 50 as is_app,
        case
            when visit_no = 0 then source_campaign_no
            when is_known and email_consent and pick('by mail', visit_key, 100) < 8 then
                case
                    when day_number >= 412 then 13
                    when day_number >= 391 then 12
                    when day_number >= 331 then 9
                    when day_number >= 287 then 8
                    when day_number >= 203 then 6
                    when day_number >= 140 then 4
                    when day_number >= 77 then 2
                    when day_number >= 49 then 1
                end
            when pick('by advertisement', visit_key, 100) < 4 then 15
        end as campaign_no
    from seasonal
    inner join habits on habits.habit = seasonal.habit
)
select
    chosen.visit_key,
    chosen.person_no,
    chosen.customer_group,
    chosen.day_number,
    chosen.started,
    chosen.kind_no,
    chosen.product_no_1,
    chosen.product_no_2,
    chosen.is_app,
    chosen.web_device_no,
    chosen.place_no,
    chosen.campaign_no,
    -- Once registered, nine visits in ten are logged in.
    chosen.is_known and chosen.started >= chosen.registered_at
        and pick('logged in', chosen.visit_key, 10) < 9 as is_logged_in,
    10 + pick('pace', chosen.visit_key, 45) as pace_seconds,
    -- What is added to the timestamps, and to the time of receipt.
    cast(case
        when copy_no = 1 and delivery_case = 2 then 86400 * least(2 + pick('days after', visit_key, 4),
            last_day() - day_number)
        when delivery_case = 4 then 600 + pick('fast', visit_key, 70000)
        when delivery_case = 5 then 86400 * (3 + pick('fast', visit_key, 300))
        else 0
    end as integer) as clock_error,
    cast(case
        when copy_no = 1 and delivery_case = 2 then clock_error
        when delivery_case = 3 then 86400 * least(1 + pick('offline days', visit_key, 120), last_day() - day_number)
        else 0
    end as integer) as delay,
    least(last_second(), chosen.started + pace_seconds * len(visit_kinds.steps) + delay) as received,
    day_date(received // 86400) as received_date
from chosen
inner join visit_kinds on visit_kinds.kind_no = chosen.kind_no,
    unnest(if(delivery_case in (1, 2), [0, 1], [0])) as copies (copy_no)
order by received_date;

------------------------------------------------------------------------------------------------------------------------
-- 7. What becomes of orders
------------------------------------------------------------------------------------------------------------------------

create or replace table change_script as
from (values
    (1, 1, 'Order Updated', null, 1),
    (2, 1, 'Order Cancelled', null, 1),
    (3, 1, 'Order Completed', null, 0),
    (4, 1, 'Order Refunded', 0.2, 5),
    (4, 2, 'Order Refunded', 0.2, 9),
    (4, 3, 'Order Refunded', 0.1, 15),
    (5, 1, 'Order Refunded', 2.5, 6),
    (6, 1, 'Order Refunded', null, 8),
    (7, 1, 'Order Refunded', 0.3, 0),
    (8, 1, 'Order Refunded', null, 10),
    (9, 1, 'Order Refunded', 1.0, 12),
    (10, 1, 'Order Updated', null, 1),
    (10, 2, 'Order Cancelled', null, 2)
) as change (order_case, change_no, event, share, after_days);

create or replace table order_changes as
with changed as (
    select
        orders.* exclude (received, received_date),
        change_script.change_no,
        change_script.event,
        change_script.share,
        orders.completed + case
            -- Too early: the refund is known two hours before its order.
            when orders.order_case = 7 then -7200
            else change_script.change_no * 60
                + 86400 * least(change_script.after_days * (1 + pick('change', orders.order_key, 3)),
                    last_day() - orders.day_number)
        end as happened
    from orders
    inner join change_script on change_script.order_case = orders.order_case
    where orders.copy_no = 0
    union all
    select
        orders.* exclude (received, received_date),
        9 as change_no,
        'Product Reviewed' as event,
        null as share,
        completed + 86400 * least(6 + pick('review days', order_key, 20), last_day() - day_number) + 90 as happened
    from orders
    where copy_no = 0 and customer_group > 0 and pick('review', order_key, 100) < 12
)
select
    *,
    cast(happened + 5 as integer) as received,
    day_date(received // 86400) as received_date
from changed
order by received_date;

------------------------------------------------------------------------------------------------------------------------
-- 8. Mailings: e-mail, push, experiments
------------------------------------------------------------------------------------------------------------------------

create or replace table mail_steps as
from (values
    (0, 'Email Delivered'),
    (1, 'Email Bounced'),
    (2, 'Email Opened'),    -- by the reader
    (3, 'Email Opened'),    -- by the machine that fetches the pictures for the reader
    (4, 'Email Link Clicked'),
    (5, 'Email Marked as Spam'),
    (6, 'Unsubscribed'),
    (7, 'Push Notification Received'),
    (8, 'Push Notification Bounced'),
    (9, 'Push Notification Tapped'),
    (10, 'Experiment Viewed')
) as step (step_no, event);

create or replace table mailings as
with sends as (
    select
        people.person_no,
        campaign_list.campaign_no,
        campaign_list.channel,
        people.habit,
        people.has_mail_proxy,
        people.has_dead_mailbox and campaign_list.channel = 'email' as is_dead,
        people.last_campaign_no = campaign_list.campaign_no as is_last,
        false as is_experiment,
        false as is_held_out,
        people.person_no * 100::bigint + campaign_list.campaign_no as send_key,
        campaign_list.start_day
    from people
    inner join campaign_list on campaign_list.start_day > people.registered_day
    where campaign_list.channel in ('email', 'push')
        and not campaign_list.has_holdout
        and campaign_list.campaign_no <= people.last_campaign_no
        and if(campaign_list.channel = 'push', people.has_app, people.email_consent)
        -- The sender gives up on a dead mailbox.
        and (not people.has_dead_mailbox or campaign_list.start_day < people.registered_day + 60)
    union all
    select
        members.person_no,
        members.campaign_no,
        'email' as channel,
        people.habit,
        people.has_mail_proxy,
        false as is_dead,
        false as is_last,
        true as is_experiment,
        members.is_held_out,
        members.member_key as send_key,
        members.start_day
    from experiment_members as members
    inner join people on people.person_no = members.person_no
),
stepped as (
    select
        sends.person_no,
        sends.campaign_no,
        sends.is_held_out,
        mail_steps.step_no,
        mail_steps.event,
        to_utc(sends.start_day * 86400 + 30600 + pick('queue', sends.send_key, 5400)) as sent,
        sent + case mail_steps.step_no
            when 0 then 0
            when 1 then 4
            when 3 then 5 + pick('proxy', sends.send_key, 60)
            when 7 then 1
            when 8 then 3
            when 9 then 30 + pick('tap', sends.send_key, 9000)
            when 10 then -60
            -- The reader's steps follow each other.
            else least(
                300 + cast(floor(200000 * power(uniform('read', sends.send_key), 3)) as integer)
                    + mail_steps.step_no * 15,
                last_second() - sent
            )
        end as happened
    from sends
    cross join mail_steps
    where case mail_steps.step_no
        when 0 then sends.channel = 'email' and not sends.is_dead and not sends.is_held_out
        when 1 then sends.is_dead
        when 2 then sends.channel = 'email' and not sends.is_dead and not sends.is_held_out
            and (pick('open', sends.send_key, 100) < 26 + 5 * sends.habit or sends.is_last)
        when 3 then sends.channel = 'email' and sends.has_mail_proxy and not sends.is_dead and not sends.is_held_out
        when 4 then sends.channel = 'email' and not sends.is_dead and not sends.is_held_out
            and pick('open', sends.send_key, 100) < 5 + 2 * sends.habit
        when 5 then sends.channel = 'email' and not sends.is_dead and not sends.is_experiment
            and sends.person_no % 33 = 6 and pick('spam', sends.send_key, 4) = 0
        when 6 then sends.channel = 'email' and sends.is_last and not sends.is_dead
        when 7 then sends.channel = 'push' and pick('push', sends.send_key, 100) >= 7
        when 8 then sends.channel = 'push' and pick('push', sends.send_key, 100) < 7
        when 9 then sends.channel = 'push' and pick('push', sends.send_key, 100) >= 80
        else sends.is_experiment
    end
)
select
    person_no,
    campaign_no,
    is_held_out,
    step_no,
    event,
    cast(happened as integer) as happened,
    cast(happened + 2 as integer) as received,
    day_date(received // 86400) as received_date
from stepped
order by received_date;

------------------------------------------------------------------------------------------------------------------------
-- 9. Profiles: who people say they are, accounts, subscriptions, surveys
------------------------------------------------------------------------------------------------------------------------

create or replace table profile_steps as
from (values
    (0, 'identify', null, 0),
    (1, 'track', 'Signed Up', 0),
    (2, 'group', null, 0),
    (3, 'track', 'Account Created', 0),
    (4, 'track', 'Account Added User', 0),
    (5, 'track', 'Trial Started', 1),
    (6, 'track', 'Trial Ended', 15),
    (7, 'track', 'Subscription Started', 16),
    (8, 'track', 'Subscription Cancelled', 90),
    (9, 'track', 'Subscribed', 0),
    (10, 'track', 'Unsubscribed', 45),
    (11, 'track', 'Survey Answered', 10),    -- would you recommend us?
    (12, 'track', 'Survey Answered', 21),    -- what matters to you?
    (13, 'identify', null, 60)    -- something has changed
) as step (step_no, type, event, after_days);

create or replace table profile_messages as
with due as (
    select
        people.person_no,
        steps.step_no,
        people.registered_at + steps.step_no * 20
            + 86400 * least(
                if(
                    steps.after_days = 0,
                    0,
                    steps.after_days + pick('profile', people.person_no * 100::bigint + steps.step_no, 30)
                ),
                last_day() - people.registered_day
            ) as happened
    from people
    cross join profile_steps as steps
    where people.is_known
        and case steps.step_no
            when 0 then true
            when 1 then true
            when 2 then people.customer_group = 4
            when 3 then people.customer_group = 4 and people.group_member_no % 3 = 0
            when 4 then people.customer_group = 4 and people.group_member_no % 3 > 0
            when 5 then people.customer_group = 4 and people.group_member_no % 2 = 0
            when 6 then people.customer_group = 4 and people.group_member_no % 2 = 0
            when 7 then people.customer_group = 4 and people.group_member_no % 2 = 0
                or people.customer_group = 3 and people.group_member_no % 4 = 0
            when 8 then people.customer_group = 3 and people.group_member_no % 8 = 0
            when 9 then people.email_consent and pick('list', people.person_no, 2) = 0
            when 10 then people.customer_group <> 2 and people.person_no % 90 = 15
            when 11 then people.customer_group < 5 and pick('asked', people.person_no, 100) < 25
            when 12 then pick('asked more', people.person_no, 100) < 12
            else pick('changed', people.person_no, 100) < 15
        end
)
select
    *,
    cast(happened + 1 as integer) as received,
    day_date(received // 86400) as received_date
from due
order by received_date;

------------------------------------------------------------------------------------------------------------------------
-- 10. Messages that are wrong from the beginning, and sales to unknown customers. They come beside the good ones, so
--     that the truth stays whole. At least three of each kind, however small the shop.
------------------------------------------------------------------------------------------------------------------------

create or replace table stray_kinds as
from (values
    (0, 'unparsable timestamp', 60),
    (1, 'timestamp before 1990', 20),
    (2, 'no message_id', 40),
    (3, 'no identity', 40),
    (4, 'unknown type', 20),
    (5, 'malformed JSON', 60),
    (6, 'order without order_id', 10),
    (7, 'order with a non-numeric amount', 6),
    (8, 'order with an absurd amount', 3),
    (9, 'order in a currency with no rate', 4),
    (10, 'refund that never finds its order', 15),
    (11, 'sale to an unknown customer', 60),
    (12, 'order of malformed JSON', 3),
    (13, 'received_at missing', 20)
) as kind (kind_no, kind, per_10000_people);

create or replace table strays as
select
    kind_no,
    kind,
    stray_no,
    kind_no * 1000000::bigint + stray_no as stray_key,
    to_utc(pick('stray day', stray_key, last_day()) * 86400 + time_of_day('stray', stray_key)) as happened,
    happened + 3 as received,
    day_date(received // 86400) as received_date,
    200 + pick('stray amount', stray_key, 9000) as cents,
    pick('stray device', stray_key, 1000000) as device_no
from stray_kinds,
    unnest(range(greatest(3, per_10000_people * (select size from settings) // 10000))) as series (stray_no);

-- Accounts that were renamed, up to five times, before the shop settled on one id; and three that point at each other
-- in a circle.
create or replace table renames as
with owners as (
    select
        user_id_of(customer_group, person_no) as current_id,
        registered_at,
        unnest(range(1, person_no // 3 % 400 - 9)) as rename_no
    from people
    where is_known and person_no // 3 % 400 between 11 and 15
),
chains as (
    select
        current_id || '-was-' || rename_no as previous_id,
        current_id || if(rename_no = 1, '', '-was-' || (rename_no - 1)) as user_id,
        registered_at + 600 + rename_no * 60 as happened
    from owners
    union all
    select
        'ring-' || ring_no as previous_id,
        'ring-' || (ring_no % 3 + 1) as user_id,
        8000000 + ring_no * 60 as happened
    from (select unnest([1, 2, 3]) as ring_no)
)
select
    *,
    day_date(happened // 86400) as received_date
from chains;

------------------------------------------------------------------------------------------------------------------------
-- 11. The messages. Strings are built once per visit where they can be, and only then joined with the script; and by
--     concat(), which writes a string once, where a chain of || copies it at every step (2.6 times the cost). Beware:
--     concat() takes null for an empty string.
------------------------------------------------------------------------------------------------------------------------

create or replace macro context_of(is_app, device_no, locale, timezone, campaign) as
    concat('{"device":{"type":"', if(is_app, 'ios', if(device_no % 2 = 0, 'desktop', 'mobile')), '"},"ip":"203.0.113.',
        device_no % 256,
        '","locale":"', locale, '","timezone":"', timezone, '"', coalesce(campaign, ''), '}');

-- The UTM part of the context. The search term is filled in per visit.
create or replace view campaign_tags as
select
    campaign_no,
    ',"campaign":{"name":"' || campaign_name || '","source":"'
        || case channel when 'search' then 'google' when 'social' then 'instagram' when 'affiliate' then 'dealfinder'
            else 'newsletter' end
        || '","medium":"' || case channel when 'search' then 'cpc' when 'social' then 'paid-social' else channel end
        || '","content":"version-' || campaign_no % 3 || '"' as tag,
    channel = 'search' as has_term
from campaign_list;

create or replace macro line_block(product_block, unit_cents, quantity) as
    concat(product_block, ',"price":', money(unit_cents), ',"quantity":', quantity);

create or replace view visit_messages as
with visited as (
    select
        visits.*,
        'v' || visits.visit_key as visit_id,
        device_id_of(if(visits.is_app, visits.person_no, visits.web_device_no), visits.is_app) as anonymous_id,
        if(visits.is_logged_in, user_id_of(visits.customer_group, visits.person_no), null) as user_id,
        iso(visits.received) as received_at,
        keywords[visits.visit_key % 4 + 1] as keyword,
        category_list.category,
        context_of(
            visits.is_app, visits.person_no, place_list.locale, place_list.timezone,
            campaign_tags.tag || if(campaign_tags.has_term, concat(',"term":"', keyword, '"}'), '}')
        ) as context
    from visits
    inner join place_list on place_list.place_no = visits.place_no
    inner join category_list on category_list.category_no = visits.product_no_1 // 100
    left join campaign_tags on campaign_tags.campaign_no = visits.campaign_no
)
select
    concat(visited.visit_id, '-', script.step_no) as message_id,
    if(script.step = 'page', if(visited.is_app, 'screen', 'page'), 'track') as type,
    if(script.step = 'page', null, script.step) as event,
    visited.anonymous_id,
    visited.user_id,
    null::varchar as previous_id,
    null::varchar as group_id,
    iso(visited.started + visited.clock_error + script.step_no * visited.pace_seconds) as "timestamp",
    visited.received_at,
    case
        when script.step in ('Product Viewed', 'Product Clicked')
            then concat('{', product.listed_block, ',"position":', script.step_no, '}')
        when script.step in ('Product Added', 'Product Removed')
            then concat('{"cart_id":"c', visited.visit_key, '",', product.listed_block, ',"quantity":1}')
        when script.step in ('Product Added to Wishlist', 'Product Removed from Wishlist',
            'Wishlist Product Added to Cart')
            then concat('{"wishlist_id":"w', visited.person_no, '",', product.listed_block, '}')
        when script.step = 'page' and visited.is_app then '{"name":"Home"}'
        when script.step = 'page'
            then concat('{"name":"', visited.category, '","title":"', visited.category, ' | Harbour & Pine","path":"/',
                lower(visited.category),
                '","url":"https://shop.example/', lower(visited.category), '","referrer":"',
                if(visited.campaign_no is null, 'https://www.google.com/', ''), '","search":"","keywords":["',
                    visited.keyword, '"]}')
        when script.step = 'Products Searched' then concat('{"query":"', visited.keyword, '"}')
        when script.step = 'Product List Viewed'
            then concat('{"list_id":"', lower(visited.category), '","category":"', visited.category, '","products":[{',
                first_product.listed_block, ',"position":1}]}')
        when script.step = 'Product List Filtered'
            then concat('{"list_id":"', lower(visited.category), '","category":"', visited.category,
                '","filters":[{"type":"brand","value":"', first_product.brand,
                    '"}],"sorts":[{"type":"price","value":"asc"}],"products":[{',
                first_product.listed_block, ',"position":1}]}')
        when script.step in ('Promotion Viewed', 'Promotion Clicked')
            then concat('{"promotion_id":"promo-', visited.day_number // 14,
                '","creative":"banner","name":"Fortnight deals","position":"home_top"}')
        when script.step in ('Cart Viewed', 'Checkout Started', 'Cart Shared')
            then concat('{"cart_id":"c', visited.visit_key, '","order_id":"O', visited.visit_key, 'v",',
                if(script.step = 'Cart Shared', '"share_via":"email","share_message":"What do you think?",', ''),
                '"currency":"USD","products":[{', first_product.listed_block, ',"quantity":1}]}')
        when script.step = 'Product Shared'
            then concat('{"share_via":"', ['email', 'instagram', 'whatsapp'][visited.visit_key % 3 + 1],
                '","share_message":"Look at this",',
                product.listed_block, '}')
        when script.step = 'Coupon Denied'
            then concat('{"cart_id":"c', visited.visit_key,
                '","coupon_id":"OLD5","coupon_name":"Five off","reason":"expired"}')
        when script.step like 'Coupon%'
            then concat('{"cart_id":"c', visited.visit_key, '","coupon_id":"SAVE10","coupon_name":"Ten percent"}')
        when script.step = 'Checkout Step Viewed'
            then concat('{"checkout_id":"k', visited.visit_key,
                '","step":1,"shipping_method":"standard","payment_method":"card"}')
    end as properties,
    null::varchar as traits,
    visited.context,
    visited.received_date
from visited
inner join visit_script as script on script.kind_no = visited.kind_no
inner join product_list as first_product on first_product.product_no = visited.product_no_1
left join product_list as product
    on product.product_no = case script.item when 1 then visited.product_no_1 when 2 then visited.product_no_2 end;

-- The visit that ends with an order, by the number of lines (1 to 3) and with a coupon (4 to 6); 0 is a sale in a
-- store, which is one message.
create or replace table order_script as
with steps as (
    select
        lines + if(has_coupon, 3, 0) as script_no,
        list_concat(
            ['page', 'Product List Viewed'],
            list_concat(
                flatten(
                    list_transform(range(1, lines + 1), lambda n: ['Product Viewed ' || n, 'Product Added ' || n])
                ),
                list_concat(
                    list_concat(['Cart Viewed'], if(has_coupon, ['Coupon Entered', 'Coupon Applied'], [])),
                    ['Checkout Started', 'Checkout Step Viewed', 'Checkout Step Completed', 'Payment Info Entered',
                        'Order Completed']
                )
            )
        ) as steps
    from (select unnest([1, 2, 3])::integer as lines)
    cross join (select unnest([false, true]) as has_coupon)
    union all
    select 0, ['Order Completed']
)
select
    script_no,
    step_no,
    regexp_replace(step, ' [123]$', '') as step,
    try_cast(right(step, 1) as integer) as item
from (select script_no, unnest(steps) as step, unnest(range(len(steps)))::integer as step_no from steps);

-- An order, or an order and what became of it: both are told by the same strings.
create or replace view order_rows as
select orders.*, 0 as change_no, null as event, null as share, completed as happened from orders
union all by name
from order_changes;

create or replace view order_details as
select
    orders.*,
    'O' || orders.order_key as order_id,
    -- A sale in a store is reported by the till, which knows the loyalty card only.
    if(orders.is_in_store, null, device_id_of(if(orders.is_app, orders.person_no, orders.web_device_no),
        orders.is_app)) as anonymous_id,
    if(orders.customer_group = 0, null, user_id_of(orders.customer_group, orders.person_no)) as user_id,
    context_of(orders.is_app, orders.person_no, place_list.locale, place_list.timezone, null::varchar) as context,
    first_product.product_id,
    -- An update takes one more of the first product.
    line_block(first_product.block, orders.unit_cents_1, orders.quantity_1
        + if(orders.event = 'Order Updated', 1, 0)) as line_1,
    if(orders.lines >= 2, line_block(second_product.block, orders.unit_cents_2, orders.quantity_2), null) as line_2,
    if(orders.lines = 3, line_block(third_product.block, orders.unit_cents_3, orders.quantity_3), null) as line_3,
    concat('[{', line_1, if(orders.lines >= 2, '},{', ''), line_2, if(orders.lines = 3, '},{', ''), line_3,
        '}]') as products_json,
    concat('"order_id":"O', orders.order_key, '","affiliation":"', if(orders.is_in_store, 'till', 'web'),
        '","currency":"', orders.currency, '","discount":', money(orders.discount_cents),
        if(orders.has_coupon, ',"coupon":"SAVE10"', ''),
        ',"shipping":', money(orders.shipping_cents), ',"shipping_method":"', orders.shipping_method,
        if(orders.is_in_store, '","channel":"in_store","store_id":"store-' || orders.place_no, '","channel":"online'),
        '","use_case":"', ['self', 'self', 'gift', 'work'][pick('use', orders.order_key, 4) + 1],
        '","requested_delivery":"',
        day_date(orders.day_number + case orders.shipping_method when 'pickup' then 0 when 'express' then 1 else 5 end),
            '"') as order_head
from order_rows as orders
inner join place_list on place_list.place_no = orders.place_no
inner join product_list as first_product on first_product.product_no = orders.product_no_1
left join product_list as second_product on second_product.product_no = orders.product_no_2
left join product_list as third_product on third_product.product_no = orders.product_no_3;

create or replace view order_messages as
with detailed as (
    select
        order_details.* exclude (event),
        concat('{', order_head, ',"checkout_id":"k', order_key, '","subtotal":', money(subtotal_cents), ',"revenue":',
            money(subtotal_cents),
            ',"tax":', money(tax_cents), ',"total":', money(subtotal_cents + shipping_cents + tax_cents),
            ',"products":',
            -- Some senders write the list as a string.
            if(
                purchase_no = 0 and person_no % 60 = 24 or pick('string', order_key, 100) < 2,
                concat('"', replace(products_json, '"', '\"'), '"'),
                products_json
            ),
            '}') as completed_properties,
        iso(received) as received_at
    from order_details
    where change_no = 0
)
select
    concat('o', detailed.order_key, '-', script.step_no) as message_id,
    if(script.step = 'page', if(detailed.is_app, 'screen', 'page'), 'track') as type,
    if(script.step = 'page', null, script.step) as event,
    detailed.anonymous_id,
    detailed.user_id,
    null::varchar as previous_id,
    null::varchar as group_id,
    iso(detailed.started + detailed.shift_seconds + script.step_no * detailed.pace_seconds) as "timestamp",
    detailed.received_at,
    case
        when script.step = 'Order Completed' then detailed.completed_properties
        when script.step = 'Product Viewed' then concat('{', [line_1, line_2, line_3][script.item], '}')
        when script.step = 'Product Added'
            then concat('{"cart_id":"c', detailed.order_key, '",', [line_1, line_2, line_3][script.item], '}')
        when script.step = 'page' and detailed.is_app then '{"name":"Home"}'
        when script.step = 'page'
            then '{"name":"Home","title":"Harbour & Pine","path":"/","url":"https://shop.example/","referrer":""}'
        when script.step = 'Product List Viewed' then concat('{"list_id":"for-you","category":"For you","products":[{',
            line_1, ',"position":1}]}')
        when script.step = 'Cart Viewed' then concat('{"cart_id":"c', detailed.order_key, '","products":',
            products_json, '}')
        when script.step = 'Checkout Started'
            then concat('{"order_id":"', detailed.order_id, '","value":', money(subtotal_cents), ',"currency":"',
                detailed.currency,
                '","products":', products_json, '}')
        when script.step like 'Coupon%'
            then concat('{"order_id":"', detailed.order_id,
                '","coupon_id":"SAVE10","coupon_name":"Ten percent","discount":', money(discount_cents), '}')
        else concat('{"checkout_id":"k', detailed.order_key, '","order_id":"', detailed.order_id,
            '","step":1,"shipping_method":"',
            shipping_method, '","payment_method":"card"}')
    end as properties,
    null::varchar as traits,
    detailed.context,
    detailed.received_date
from detailed
inner join order_script as script on script.script_no = detailed.script_no;

create or replace view order_change_messages as
with detailed as (
    select
        *,
        subtotal_cents + if(event = 'Order Updated', unit_cents_1, 0) as new_subtotal_cents,
        cast(round(new_subtotal_cents * tax_cents / greatest(subtotal_cents, 1)) as bigint) as new_tax_cents
    from order_details
    where change_no > 0
)
select
    'r' || order_key || '-' || change_no as message_id,
    'track' as type,
    event,
    anonymous_id,
    user_id,
    null::varchar as previous_id,
    null::varchar as group_id,
    iso(happened) as "timestamp",
    iso(received) as received_at,
    case
        when event = 'Product Reviewed'
            then '{"product_id":"' || product_id || '","review_id":"rv' || order_key || '","rating":"'
                || [5, 5, 5, 4, 4, 4, 3, 2, 1, 5][pick('rating', order_key, 10) + 1]
                    || '","review_body":"As described."}'
        when event = 'Order Refunded' and order_case = 6 then '{"order_id":"' || order_id || '"}'
        when event = 'Order Refunded' and order_case = 8
            then '{"order_id":"' || order_id || '","currency":"' || currency || '","total":'
                || money(least(unit_cents_1 * quantity_1, subtotal_cents)) || ',"products":[{' || line_1 || '}]}'
        when event = 'Order Refunded'
            then '{"order_id":"' || order_id || '","currency":"' || currency || '","total":'
                || money(cast(round(share * subtotal_cents) as bigint)) || '}'
        else '{' || order_head
            || if(event = 'Order Completed', ',"checkout_id":"k' || order_key || '","subtotal":'
                || money(new_subtotal_cents), '')
            || ',"revenue":' || money(new_subtotal_cents)
            || ',"tax":' || money(new_tax_cents) || ',"total":'
                || money(new_subtotal_cents + shipping_cents + new_tax_cents)
            || ',"products":' || products_json || '}'
    end as properties,
    null::varchar as traits,
    context,
    received_date
from detailed;

create or replace view mailing_messages as
with addressed as (
    select
        mailings.*,
        user_id_of(people.customer_group, people.person_no) as user_id,
        device_id_of(people.person_no, true) as app_device_id,
        campaign_list.campaign_id,
        campaign_list.campaign_name,
        concat('m', mailings.campaign_no, '-', mailings.person_no) as mailing_id,
        concat('"email_id":"', mailing_id, '","email_subject":"', campaign_list.campaign_name,
            ' from Harbour & Pine","campaign_id":"',
            campaign_list.campaign_id, '","campaign_name":"', campaign_list.campaign_name, '"') as mail_block
    from mailings
    inner join people on people.person_no = mailings.person_no
    inner join campaign_list on campaign_list.campaign_no = mailings.campaign_no
)
select
    concat(mailing_id, '-', step_no) as message_id,
    'track' as type,
    event,
    if(step_no between 7 and 9, app_device_id, null) as anonymous_id,
    user_id,
    null::varchar as previous_id,
    null::varchar as group_id,
    iso(happened) as "timestamp",
    iso(received) as received_at,
    case
        when step_no = 10
            then concat('{"experiment_id":"', campaign_id, '","experiment_name":"', campaign_name, '","variation_id":"',
                if(is_held_out, 0, 1),
                '","variation_name":"', if(is_held_out, 'control', 'treatment'), '"}')
        when step_no between 7 and 9
            then concat('{"action":"open","campaign":{"name":"', campaign_id, '","medium":"push","content":"',
                campaign_name,
                '","source":"own"},"campaign_id":"', campaign_id, '"}')
        when step_no = 4 then concat('{', mail_block,
            ',"link_id":"hero","link_url":"https://shop.example/?utm_campaign=', campaign_id, '"}')
        when step_no = 6 then concat('{', mail_block, ',"list_id":"newsletter","list_name":"Newsletter"}')
        else concat('{', mail_block, '}')
    end as properties,
    null::varchar as traits,
    case step_no
        when 2
            then '{"userAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/131.0 Safari/537.36"}'
        -- The whole user agent of Apple's Mail Privacy Protection, which opens everything.
        when 3 then '{"userAgent":"Mozilla/5.0"}'
        else '{}'
    end as context,
    received_date
from addressed;

create or replace view profile_views as
select
    profile_messages.*,
    people.* exclude (person_no),
    user_id_of(people.customer_group, people.person_no) as user_id,
    device_id_of(people.web_device_no, false) as anonymous_id,
    -- Three contacts work for one company.
    people.group_member_no // 3 as company_no,
    ['Acme', 'Borealis', 'Cobalt', 'Delta', 'Everline', 'Fjord', 'Granite'][company_no % 7 + 1] || ' '
        || ['Logistics', 'Health', 'Software', 'Foods', 'Studios'][company_no % 5 + 1] || ' ' || company_no as company,
    ['Transportation', 'Health care', 'Software', 'Food', 'Media'][company_no % 5 + 1] as industry,
    [4, 12, 45, 180, 900, 5200][pick('employees', company_no, 6) + 1] as employees,
    ['free', 'team', 'enterprise'][pick('plan', company_no, 3) + 1] as plan,
    ['female', 'female', 'male', 'male', 'other'][pick('gender', people.person_no, 5) + 1] as gender,
    place_list.* exclude (place_no),
    category_list.lifestyle,
    category_list.category
from profile_messages
inner join people on people.person_no = profile_messages.person_no
inner join place_list on place_list.place_no = people.place_no
inner join category_list on category_list.category_no = people.favourite_category_no;

create or replace view identify_traits as
select
    *,
    ['Ada', 'Ben', 'Chloe', 'Dario', 'Elif', 'Finn', 'Grace', 'Hugo', 'Ines', 'Jonas', 'Kira', 'Liam', 'Mona', 'Noor',
        'Otto', 'Pia'][
        pick('first name', person_no, 16) + 1
    ] as first_name,
    ['Abbott', 'Brandt', 'Costa', 'Dubois', 'Evans', 'Fischer', 'Garcia', 'Hansen', 'Ivanov', 'Jensen', 'Keller',
        'Lopez'][
        pick('last name', person_no, 12) + 1
    ] as last_name,
    '{"firstName":"' || first_name || '","lastName":"' || last_name || '","email":"' || lower(first_name) || '.'
        || person_no
        || '@mail.example","phone":"+1555' || lpad(cast(person_no % 10000000 as varchar), 7, '0') || '","createdAt":"'
            || iso(registered_at)
        || '","gender":"' || gender || '","address":{"street":"' || (1 + person_no % 190) || ' Main Street","city":"'
            || city || if(
            urbanicity = 'urban',
            '","district":"' || ['Harbour', 'Old Town', 'Riverside', 'Northside'][pick('district', person_no, 4) + 1],
            ''
        ) || '","state":"'
        || region || '","postalCode":"' || postal_code || '","country":"' || country || '"}'
        -- A birthday from most, an age from the rest.
        || if(
            pick('birthday', person_no, 10) < 7,
            ',"birthday":"'
                || cast(
                    date '2025-06-30' - cast(age * 365.25 + pick('day of birth', person_no, 365) as integer) as date
                ) || '"',
            ',"age":' || age
        )
        || if(
            pick('told', person_no, 10) < 6,
            ',"income":' || 1000 * cast(round(22 + purse * 0.8 + pick('income', person_no, 30)) as integer)
                || ',"education":"' || ['secondary', 'vocational', 'bachelor', 'bachelor', 'master', 'doctorate'][
                    pick('education', person_no, 6) + 1
                ]
                || '","occupation":"' || ['teacher', 'engineer', 'nurse', 'designer', 'farmer', 'analyst', 'chef'][
                    pick('job', person_no, 7) + 1
                ]
                || '","employmentStatus":"' || if(age >= 66, 'retired', ['employed', 'employed', 'self-employed',
                    'student'][
                    pick('employment', person_no, 4) + 1
                ]) || '","employer":"' || ['Acme Ltd', 'City Council', 'Northern Rail', 'Self'][
                    pick('employer', person_no, 4) + 1
                ]
                || '","maritalStatus":"' || ['single', 'married', 'married', 'divorced'][
                    pick('marriage', person_no, 4) + 1
                ]
                || '","householdSize":' || (1 + pick('household', person_no, 5))
                || ',"children":' || greatest(0, pick('household', person_no, 5) - 1)
                || ',"homeOwnership":"' || ['own', 'rent'][pick('home', person_no, 2) + 1] || '","nationality":"'
                    || country || '"',
            ''
        )
        || if(
            pick('religion', person_no, 100) < 4 or person_no % 300 = 9,
            ',"religion":"' || ['christian', 'muslim', 'jewish', 'buddhist', 'none'][pick('faith', person_no, 5) + 1]
                || '"',
            ''
        )
        || if(
            pick('psyche', person_no, 10) < 5,
            ',"lifestyle":"' || lifestyle || '","values":"' || ['sustainability', 'price', 'quality', 'status'][
                pick('values', person_no, 4) + 1
            ]
                || '","personality":"' || ['open', 'careful', 'sociable', 'independent'][
                    pick('personality', person_no, 4) + 1
                ]
                || '","interests":["' || lower(category) || '","'
                    || ['music', 'cooking', 'sports', 'film'][pick('interest', person_no, 4) + 1]
                || '"],"style":"' || ['minimal', 'classic', 'colourful'][pick('style', person_no, 3) + 1] || '"',
            ''
        )
        || if(
            pick('social', person_no, 10) < 4,
            ',"socialNetworks":["' || ['instagram', 'facebook', 'tiktok', 'linkedin'][pick('network', person_no, 4) + 1]
                || '"]',
            ''
        )
        || coalesce(',"emailConsent":' || email_consent, '')
        || if(email_consent is not null, ',"smsConsent":' || (pick('sms', person_no, 3) = 0) || ',"pushConsent":'
            || has_app, '')
        || if(customer_group = 4, ',"company":{"id":"company-' || company_no || '","name":"' || company
            || '","industry":"' || industry
            || '","employees":' || employees || ',"plan":"' || plan || '"}', '')
        || '}' as traits
from profile_views
where step_no = 0;

create or replace view profile_track_messages as
select
    'p' || profiles.person_no || '-' || profiles.step_no as message_id,
    steps.type,
    steps.event,
    profiles.anonymous_id,
    profiles.user_id,
    null::varchar as previous_id,
    if(profiles.step_no between 2 and 4, 'company-' || profiles.company_no, null) as group_id,
    iso(profiles.happened) as "timestamp",
    iso(profiles.received) as received_at,
    case
        when profiles.step_no = 1 then '{"type":"' || if(profiles.customer_group = 4, 'invited', 'organic') || '"}'
        when profiles.step_no = 3 then '{"account_name":"' || profiles.company || '"}'
        when profiles.step_no = 4 then '{"role":"member"}'
        when profiles.step_no = 5 then '{"trial_plan_name":"' || profiles.plan || '","trial_start_date":"'
            || iso(profiles.happened) || '"}'
        when profiles.step_no = 6 then '{"trial_plan_name":"' || profiles.plan || '","trial_end_date":"'
            || iso(profiles.happened) || '"}'
        when profiles.step_no in (7, 8)
            then '{"plan":"' || if(profiles.customer_group = 4, profiles.plan, 'coffee box') || '","billing_period":"'
                || if(profiles.person_no % 2 = 0, 'monthly', 'annual') || '"}'
        when profiles.step_no in (9, 10) then '{"list_id":"newsletter","list_name":"Newsletter"}'
        -- Those who return a lot recommend less.
        when profiles.step_no = 11
            then '{"survey":"after purchase","question":"nps","score":' || greatest(0, least(10,
                11 - floor(5 * power(uniform('nps', profiles.person_no), 1.6)) * if(profiles.customer_group = 3, 2, 1)
                    - pick('mood', profiles.person_no, 3)
            ))::integer || '}'
        when profiles.step_no = 12
            then '{"survey":"about you","question":"lifestyle","answer":"' || profiles.lifestyle || '"}'
    end as properties,
    case
        when profiles.step_no = 2
            then '{"name":"' || profiles.company || '","industry":"' || profiles.industry || '","employees":'
                || profiles.employees
                || ',"plan":"' || profiles.plan || '","website":"https://company-' || profiles.company_no
                    || '.example","address":{"city":"'
                || profiles.city || '","state":"' || profiles.region || '","postalCode":"' || profiles.postal_code
                    || '","country":"'
                || profiles.country || '"}}'
        when profiles.step_no = 13 then '{"employmentStatus":"self-employed","homeOwnership":"own"}'
    end as traits,
    '{"locale":"' || profiles.locale || '","timezone":"' || profiles.timezone || '"}' as context,
    profiles.received_date
from profile_views as profiles
inner join profile_steps as steps on steps.step_no = profiles.step_no
where profiles.step_no > 0
union all
select
    'p' || person_no || '-0' as message_id,
    'identify' as type,
    null::varchar as event,
    anonymous_id,
    user_id,
    null::varchar as previous_id,
    null::varchar as group_id,
    iso(happened) as "timestamp",
    iso(received) as received_at,
    null::varchar as properties,
    traits,
    '{"locale":"' || locale || '","timezone":"' || timezone || '"}' as context,
    received_date
from identify_traits;

-- Before each renaming, the old account is seen once.
create or replace view rename_messages as
select
    'a' || previous_id || if(is_alias, '', '-page') as message_id,
    if(is_alias, 'alias', 'page') as type,
    null::varchar as event,
    null::varchar as anonymous_id,
    if(is_alias, user_id, previous_id) as user_id,
    if(is_alias, previous_id, null) as previous_id,
    null::varchar as group_id,
    iso(happened - if(is_alias, 0, 30)) as "timestamp",
    iso(happened) as received_at,
    if(is_alias, null, '{"name":"Account","path":"/account","url":"https://shop.example/account"}') as properties,
    null::varchar as traits,
    '{}' as context,
    received_date
from renames
cross join (select unnest([true, false]) as is_alias);

create or replace view stray_messages as
with described as (
    select
        *,
        kind_no in (6, 7, 8, 9, 11, 12) as is_order,
        '{' || if(kind_no = 6, '', '"order_id":"X' || stray_key || '",') || '"affiliation":"web","currency":"'
            || if(kind_no = 9, 'XXX', 'USD')
            || '","channel":"' || if(kind_no = 11, 'in_store","store_id":"store-' || stray_no % 4, 'online')
            || '","discount":0.00,"shipping":0.00,"tax":0.00,"subtotal":' || amount || ',"revenue":' || amount
                || ',"total":' || amount
            || ',"products":[{' || line_block(product_list.block, product_cents, 1) || '}]'
            -- What is cut off at the end is no JSON.
            || if(kind_no = 12, '', '}') as order_properties
    from strays
    cross join lateral (
        select
            case kind_no when 7 then '"twelve"' when 8 then '1000000000000' else money(cents) end as amount,
            cents as product_cents,
            stray_key % 800 as product_no
    ) as priced
    inner join product_list on product_list.product_no = priced.product_no
)
select
    if(kind_no = 2, null, 'x' || stray_key) as message_id,
    case when kind_no = 4 then ['click', 'event', ''][stray_no % 3 + 1] when is_order or kind_no = 10 then 'track'
        else 'page' end as type,
    case when is_order then 'Order Completed' when kind_no = 10 then 'Order Refunded' end as event,
    if(kind_no in (3, 11), null, device_id_of(device_no, false)) as anonymous_id,
    null::varchar as user_id,
    null::varchar as previous_id,
    null::varchar as group_id,
    case kind_no
        when 0 then ['yesterday', '2025-13-45T99:00:00Z', ''][stray_no % 3 + 1]
        when 1 then ['1970-01-01T00:00:00Z', '1989-12-31T23:59:59Z'][stray_no % 2 + 1]
        else iso(happened)
    end as "timestamp",
    if(kind_no = 13, null, iso(received)) as received_at,
    case
        when is_order then order_properties
        when kind_no = 5 then ['{"name":"Home', '{name: Home}', 'not json'][stray_no % 3 + 1]
        when kind_no = 10 then '{"order_id":"N' || stray_key || '","currency":"USD","total":' || amount || '}'
        else '{"name":"Home","path":"/","url":"https://shop.example/"}'
    end as properties,
    null::varchar as traits,
    '{}' as context,
    received_date
from described;

------------------------------------------------------------------------------------------------------------------------
-- 12. All of it
------------------------------------------------------------------------------------------------------------------------

create or replace view events as
with messages as (
    select * from visit_messages
    union all
    select * from order_messages
    union all
    select * from order_change_messages
    union all
    select * from mailing_messages
    union all
    select * from profile_track_messages
    union all
    select * from rename_messages
    union all
    select * from stray_messages
)
select
    message_id,
    type,
    event,
    anonymous_id,
    user_id,
    previous_id,
    group_id,
    "timestamp",
    received_at,
    properties,
    traits,
    context,
    received_date
from messages
where received_date <= (select until_date from settings);
