"""The demo shop: is what demo.md says is planted really there, in a small sample too, and always the same?"""

from __future__ import annotations

import math
from pathlib import Path

import duckdb
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from orchestration.fit import ORDER_PARAMETERS, SPEND_PARAMETERS, fit_orders, fit_spend

SCRIPT = Path(__file__).parents[2] / "datasets" / "demo.sql"

CONTRACT = {
    "message_id": "VARCHAR", "type": "VARCHAR", "event": "VARCHAR", "anonymous_id": "VARCHAR", "user_id": "VARCHAR",
    "previous_id": "VARCHAR", "group_id": "VARCHAR", "timestamp": "VARCHAR", "received_at": "VARCHAR",
    "properties": "VARCHAR", "traits": "VARCHAR", "context": "VARCHAR", "received_date": "DATE",
}  # fmt: skip

REFERENCES = {
    "products": "product_id, product_name, category, brand, unit_cost",
    "campaigns": "campaign_id, campaign_name, channel, started_on, ended_on, cost, currency",
    "places": "country, region, city, postal_code, urbanicity, climate_zone, terrain, population",
    "stores": "store_id, name, country, region, city, postal_code, format",
    "exchange_rates": "currency, rate_date, rate_to_reporting",
}

TRACK_EVENTS = [
    # e-commerce v2
    "Products Searched", "Product List Viewed", "Product List Filtered", "Promotion Viewed", "Promotion Clicked",
    "Product Clicked", "Product Viewed", "Product Added", "Product Removed", "Cart Viewed", "Checkout Started",
    "Checkout Step Viewed", "Checkout Step Completed", "Payment Info Entered", "Order Updated", "Order Completed",
    "Order Refunded", "Order Cancelled", "Coupon Entered", "Coupon Applied", "Coupon Denied", "Coupon Removed",
    "Product Added to Wishlist", "Product Removed from Wishlist", "Wishlist Product Added to Cart", "Product Shared",
    "Cart Shared", "Product Reviewed",
    # e-mail, push, experiments
    "Email Delivered", "Email Opened", "Email Link Clicked", "Email Bounced", "Email Marked as Spam", "Unsubscribed",
    "Push Notification Received", "Push Notification Tapped", "Push Notification Bounced", "Experiment Viewed",
    # business customers, subscriptions, surveys, consent
    "Account Created", "Account Added User", "Signed Up", "Trial Started", "Trial Ended", "Subscription Started",
    "Subscription Cancelled", "Survey Answered", "Subscribed",
]  # fmt: skip

# Each selects what a kind of dirt leaves behind; how many at least, in a shop of 200 people.
DIRT = {
    "exact duplicates": (
        """select message_id from events where message_id is not null group by all
        having count(*) > 1 and count(distinct "timestamp") = 1""",
        3,
    ),
    "a message_id again, days later": (
        """select message_id from events where message_id is not null group by message_id
        having max(received_date) - min(received_date) >= 2 and count(distinct "timestamp") > 1""",
        3,
    ),
    "late messages": ("from moments where received - happened > interval 1 day", 3),
    "late orders": ("from moments where event = 'Order Completed' and received - happened > interval 1 day", 1),
    "clock skew": ("from moments where happened > received and happened <= received + interval 1 day", 3),
    "a clock that cannot be right": ("from moments where happened > received + interval 1 day", 3),
    "malformed JSON": ("from events where not json_valid(properties) and type = 'page'", 3),
    "an order of malformed JSON": ("from events where not json_valid(properties) and event = 'Order Completed'", 3),
    "unparsable timestamps": ("from moments where happened is null", 3),
    "timestamps before 1990": ("from moments where happened < timestamp '1990-01-01'", 3),
    "received_at missing": ("from events where received_at is null", 3),
    "no message_id": ("from events where message_id is null", 3),
    "no identity": ("from events where anonymous_id is null and user_id is null and type = 'page'", 3),
    "unknown type": ("from events where type not in ('track', 'identify', 'page', 'screen', 'group', 'alias')", 3),
    "orders without order_id": ("from completed where order_id is null", 3),
    "a non-numeric amount": ("from completed where try_cast(revenue as double) is null", 3),
    "an absurd amount": ("from completed where try_cast(revenue as double) >= 1e12", 3),
    "a currency with no rate": ("from completed where currency = 'XXX'", 3),
    "orders in other currencies": ("from completed where currency in (select currency from exchange_rates)", 3),
    "orders of unknown customers": ("from completed where anonymous_id is null and user_id is null", 3),
    "orders of guests": ("from completed where order_id like 'O%' and user_id is null", 1),
    "store orders": ("from completed where channel = 'in_store' and store_id in (select store_id from stores)", 3),
    "products as a string": ("from completed where products_type = 'VARCHAR'", 3),
    "orders sent again by another message": (
        "select order_id from completed where order_id is not null group by all having count(distinct message_id) > 1",
        1,
    ),
    "refunds before their order": (
        "from refunded inner join completed using (order_id) where refunded.happened < completed.happened",
        1,
    ),
    "refunds over the order's amount": (
        """from refunded inner join completed using (order_id)
        where cast(refunded.total as double) > try_cast(completed.total as double)""",
        1,
    ),
    "several partial refunds": (
        "select order_id from refunded group by order_id having count(distinct message_id) = 3",
        1,
    ),
    "a refund without an amount": ("from refunded where total is null", 1),
    "a refund of single products": ("from refunded where products_type = 'ARRAY'", 1),
    "refunds that never find their order": ("from refunded anti join completed using (order_id)", 3),
    "an order updated, then cancelled": (
        """select order_id from orders_told where event in ('Order Updated', 'Order Cancelled')
        group by order_id having count(distinct event) = 2""",
        1,
    ),
    "shared devices": (
        """select anonymous_id from events where anonymous_id is not null and user_id is not null
        group by anonymous_id having count(distinct user_id) > 1""",
        1,
    ),
    "anonymous first, then known": (
        """select anonymous_id from moments where anonymous_id is not null group by anonymous_id
        having min(happened) filter (where user_id is null) < min(happened) filter (where user_id is not null)""",
        3,
    ),
    "machine opens": ("from events where event = 'Email Opened' and context ->> 'userAgent' = 'Mozilla/5.0'", 3),
    "held-out customers": (
        "from events where event = 'Experiment Viewed' and properties ->> 'variation_name' = 'control'",
        1,
    ),
    "search advertisements": ("from events where context ->> '$.campaign.term' is not null", 3),
    "company contacts": ("from events where type = 'group' and traits ->> 'employees' is not null", 3),
    "sensitive traits": ("from events where type = 'identify' and traits ->> 'religion' is not null", 1),
    "nobody asked for consent": ("from events where message_id like 'p%-0' and traits ->> 'emailConsent' is null", 1),
}


def make_shop(size: int, *, until: str | None = None, threads: int = 2) -> duckdb.DuckDBPyConnection:
    db = duckdb.connect(config={"threads": threads})
    db.execute("set timezone = 'UTC'")
    db.execute("set variable size = $1", [size])
    db.execute("set variable until = $1", [until])
    db.execute(SCRIPT.read_text(encoding="utf-8"))
    return db


def fingerprint(db: duckdb.DuckDBPyConnection, relation: str = "events") -> tuple[int, str]:
    """Number of rows, and a sum over them that doesn't depend on their order."""
    columns = ", ".join(CONTRACT)
    return db.execute(f"select count(*), sum(hash(row({columns}))) from {relation}").fetchone()


def keep_events(db: duckdb.DuckDBPyConnection) -> None:
    """The view is made anew by every query; many of them are cheaper on a table."""
    db.execute("alter view events rename to generated; create table events as from generated")


@pytest.fixture(scope="module")
def small() -> duckdb.DuckDBPyConnection:
    db = make_shop(200)
    keep_events(db)
    db.execute(
        """
        create table moments as
        select
            *,
            try_cast("timestamp" as timestamp) as happened,
            try_cast(received_at as timestamp) as received
        from events;

        create table orders_told as
        with valid as materialized (from moments where event like 'Order %' and json_valid(properties))
        select
            message_id, event, anonymous_id, user_id, happened,
            properties ->> 'order_id' as order_id,
            properties ->> 'revenue' as revenue,
            properties ->> 'total' as total,
            properties ->> 'currency' as currency,
            properties ->> 'channel' as channel,
            properties ->> 'store_id' as store_id,
            json_type(properties, '$.products') as products_type
        from valid;

        create view completed as from orders_told where event = 'Order Completed';
        create view refunded as from orders_told where event = 'Order Refunded';
        """
    )
    return db


@pytest.fixture(scope="module")
def shop() -> duckdb.DuckDBPyConnection:
    """Large enough to estimate means from."""
    db = make_shop(6000)
    keep_events(db)
    return db


def test_events_have_the_columns_of_the_contract(small):
    columns = small.execute("select column_name, column_type from (describe events)").fetchall()
    assert dict(columns) == CONTRACT


@pytest.mark.parametrize("table", REFERENCES)
def test_reference_tables_have_the_columns_of_the_contract_and_unique_keys(small, table):
    assert ", ".join(small.table(table).columns) == REFERENCES[table]
    keys = {"places": "country, postal_code", "exchange_rates": "currency, rate_date"}
    key = keys.get(table, REFERENCES[table].split(",")[0])
    rows, distinct = small.execute(f"select count(*), count(distinct ({key})) from {table}").fetchone()
    assert rows == distinct > 0


def test_size_defaults_to_what_the_header_says():
    script = SCRIPT.read_text(encoding="utf-8")
    header = next(line for line in script.splitlines() if line.startswith("-- strata.size:"))
    db = duckdb.connect()
    db.execute(script)
    assert db.execute("select size from settings").fetchone() == (int(header.split(":")[1]),)


def test_same_events_whatever_the_number_of_threads():
    assert fingerprint(make_shop(400, threads=1)) == fingerprint(make_shop(400, threads=2))


def test_a_later_until_adds_days_and_changes_nothing():
    everything = make_shop(400)
    everything.execute("create view until_october as from events where received_date <= date '2025-10-14'")
    until_october = make_shop(400, until="2025-10-14")
    assert fingerprint(until_october) == fingerprint(everything, "until_october")
    assert fingerprint(until_october)[0] < fingerprint(everything)[0]


def test_received_date_is_the_utc_day_of_receipt(small):
    assert small.execute(
        "select count(*) from moments where received_date is distinct from cast(coalesce(received, happened) as date)"
    ).fetchone() == (0,)


def test_about_32_messages_a_person(shop):
    (messages,) = shop.execute("select count(*) from events").fetchone()
    assert 28 < messages / 6000 < 36


def test_every_message_of_the_contract_occurs(small):
    events = {event for (event,) in small.execute("select distinct event from events where type = 'track'").fetchall()}
    assert events == set(TRACK_EVENTS)
    types = {kind for (kind,) in small.execute("select distinct type from events").fetchall()}
    assert types >= {"track", "identify", "page", "screen", "group", "alias"}


def test_there_are_a_few_of_each_message(shop):
    counts = dict(shop.execute("select event, count(*) from events where type = 'track' group by event").fetchall())
    assert {event: counts.get(event, 0) for event in TRACK_EVENTS if counts.get(event, 0) < 10} == {}


@pytest.mark.parametrize("kind", DIRT)
def test_dirt_is_planted_even_in_a_small_shop(small, kind):
    query, at_least = DIRT[kind]
    (found,) = small.execute(f"select count(*) from ({query})").fetchone()
    assert found >= at_least


def test_what_is_not_broken_on_purpose_is_valid(small):
    broken = small.execute(
        """
        select count(*) from events
        where not coalesce(json_valid(properties), true) and message_id not like 'x%'
            or not coalesce(json_valid(traits), true)
            or not json_valid(context)
            or type = 'track' and (event is null or properties is null)
            or type in ('page', 'screen') and properties is null
            or type in ('identify', 'group') and traits is null
        """
    ).fetchone()
    assert broken == (0,)


def test_alias_chains_have_up_to_five_links_and_one_is_a_circle(shop):
    aliases = dict(shop.execute("select previous_id, user_id from events where type = 'alias'").fetchall())
    lengths = set()
    for start in aliases.keys() - set(aliases.values()):
        length, name = 0, start
        while name in aliases:
            length, name = length + 1, aliases[name]
        lengths.add(length)
    assert lengths == {1, 2, 3, 4, 5}
    name = "ring-1"
    for _ in range(3):
        name = aliases[name]
    assert name == "ring-1"


def test_order_amounts_add_up(shop):
    wrong, orders = shop.execute(
        """
        with
        told as (
            select
                properties,
                -- As text, whether it came as an array or as a string.
                properties ->> 'products' as products
            from events
            where event in ('Order Completed', 'Order Updated', 'Order Cancelled') and message_id not like 'x%'
        ),
        amounts as (
            select
                list_sum(list_transform(
                    cast(products as json[]),
                    lambda line: cast(line ->> 'price' as decimal(18, 2)) * cast(line ->> 'quantity' as integer)
                )) as gross,
                cast(properties ->> 'discount' as decimal(18, 2)) as discount,
                cast(properties ->> 'subtotal' as decimal(18, 2)) as subtotal,
                cast(properties ->> 'revenue' as decimal(18, 2)) as revenue,
                cast(properties ->> 'shipping' as decimal(18, 2)) as shipping,
                cast(properties ->> 'tax' as decimal(18, 2)) as tax,
                cast(properties ->> 'total' as decimal(18, 2)) as total
            from told
        )
        select
            count_if(
                gross - discount <> revenue or coalesce(subtotal <> revenue, false)
                or revenue + shipping + tax <> total or revenue <= 0
            ),
            count(gross - discount + revenue + shipping + tax + total)
        from amounts
        """
    ).fetchone()
    assert wrong == 0
    assert orders > 5000


def test_the_planted_customers_have_nothing_but_orders(shop):
    """No refunds, changes, late orders or experiments: whoever fits the model to C1 sees the planted process."""
    assert shop.execute(
        """
        select count(*) from events where user_id like 'C1-%' and (
            event in ('Order Updated', 'Order Cancelled', 'Order Refunded', 'Experiment Viewed')
            or event = 'Order Completed' and message_id not like 'o%'
        )
        """
    ).fetchone() == (0,)


def planted_customers(db: duckdb.DuckDBPyConnection) -> list[tuple[int, float, float, int, float]]:
    """Per planted customer, read from the messages alone: repeat purchase days, age in weeks, mean amount in USD, days
    from first to last purchase, amount of all but the first day."""
    return db.execute(
        """
        with
        completed as (
            select distinct on (message_id)
                user_id,
                cast(timezone('America/New_York', cast("timestamp" as timestamptz)) as date) as day,
                properties
            from events
            where event = 'Order Completed' and user_id like 'C1-%'
            order by message_id, received_at
        ),
        converted as (
            select
                completed.user_id,
                completed.day,
                cast(completed.properties ->> 'revenue' as double) 
                    * coalesce(exchange_rates.rate_to_reporting, 1) as amount
            from completed
            asof left join exchange_rates on exchange_rates.currency = completed.properties ->> 'currency'
                and exchange_rates.rate_date <= completed.day
        )
        select
            count(distinct day) - 1,
            (date '2026-02-28' - min(day)) / 7,
            avg(amount),
            max(day) - min(day),
            sum(amount) - sum(amount) filter (day = first_day)
        from (select *, min(day) over (partition by user_id) as first_day from converted)
        group by user_id
        """
    ).fetchall()


def test_repeat_purchases_follow_the_planted_process(shop):
    """The mean of x given T under MBG/NBD: E over p ~ Beta(a, b) of (1 - p) / p (1 - (1 + p T / alpha)^-r)."""
    truth = dict(shop.execute("select parameter, value from truth").fetchall())
    density = beta(truth["a"], truth["b"]).pdf
    expected: dict[float, float] = {}

    def mean_of(age_weeks: float) -> float:
        if age_weeks not in expected:
            expected[age_weeks] = quad(
                lambda p: density(p) * (1 - p) / p * (1 - (1 + p * age_weeks / truth["alpha"]) ** -truth["r"]), 0, 1
            )[0]
        return expected[age_weeks]

    surprises = [frequency - mean_of(age_weeks) for frequency, age_weeks, *_ in planted_customers(shop)]
    assert len(surprises) > 1000
    mean = sum(surprises) / len(surprises)
    deviation = math.sqrt(sum((surprise - mean) ** 2 for surprise in surprises) / (len(surprises) - 1))
    assert abs(mean) < 4 * deviation / math.sqrt(len(surprises))
    assert deviation / math.sqrt(len(surprises)) < 0.15


def test_spend_follows_the_planted_process(shop):
    truth = dict(shop.execute("select parameter, value from truth").fetchall())
    amounts = [amount for _, _, amount, *_ in planted_customers(shop)]
    mean = sum(amounts) / len(amounts)
    deviation = math.sqrt(sum((amount - mean) ** 2 for amount in amounts) / (len(amounts) - 1))
    assert abs(mean - truth["p"] * truth["gamma"] / (truth["q"] - 1)) < 4 * deviation / math.sqrt(len(amounts))
    assert deviation / math.sqrt(len(amounts)) < 3


def test_the_planted_parameters_are_recovered(shop):
    """By the product's own fits, within three standard errors."""
    truth = dict(shop.execute("select parameter, value from truth").fetchall())
    rows = np.array(planted_customers(shop), dtype=float)
    frequency, age_weeks, _, recency_days, repeat_spend = rows.T
    ones = np.ones(len(rows), dtype=int)
    whole = [np.rint(column).astype(int) for column in (frequency, recency_days, age_weeks * 7, repeat_spend * 100)]
    orders = fit_orders(*whole[:3], ones, "mbg")
    spend = fit_spend(whole[0], whole[3], ones)
    for fitted, names in ((orders, ORDER_PARAMETERS), (spend, SPEND_PARAMETERS)):
        assert fitted.fit_status == "ok"
        errors = np.sqrt(np.diag(np.array(fitted.covariance)))
        away = np.log(fitted.parameters) - np.log([truth[name] for name in names])
        assert np.all(np.abs(away) < 3 * errors), dict(zip(names, away / errors, strict=True))
        assert np.all(errors < 0.4)


def test_experiments_move_the_treated_as_planted(shop):
    """One more order with the planted probability, for the treated alone. Its number ends in 900 + the campaign's."""
    truth = dict(shop.execute("select parameter, value from truth").fetchall())
    arms = dict(
        shop.execute(
            """
            with
            viewed as (
                select user_id, properties ->> 'experiment_id' as campaign_id, properties ->> 'variation_name' as arm
                from events where event = 'Experiment Viewed'
            ),
            lifted as (
                select distinct user_id, campaign_list.campaign_id
                from events
                inner join campaign_list
                    on right(events.properties ->> 'order_id', 3) = cast(900 + campaign_list.campaign_no as varchar)
                where events.event = 'Order Completed' and user_id like 'C2-%'
            )
            select arm, row(count(*), count(lifted.user_id))
            from viewed left join lifted on lifted.user_id = viewed.user_id and lifted.campaign_id = viewed.campaign_id
            group by arm
            """
        ).fetchall()
    )
    treated, lifted = arms["treatment"]
    held_out, lifted_of_held_out = arms["control"]
    assert lifted_of_held_out == 0
    share = truth["lift_orders"]
    assert abs(lifted / treated - share) < 4 * math.sqrt(share * (1 - share) / treated)
    targeted = treated + held_out
    share = truth["holdout_share"]
    assert abs(held_out / targeted - share) < 4 * math.sqrt(share * (1 - share) / targeted)


def test_held_out_customers_get_no_mail(shop):
    assert shop.execute(
        """
        select count(*)
        from events as viewed
        inner join events as mailed on mailed.user_id = viewed.user_id
            and mailed.properties ->> 'campaign_id' = viewed.properties ->> 'experiment_id'
        where viewed.event = 'Experiment Viewed' and viewed.properties ->> 'variation_name' = 'control'
            and mailed.event like 'Email %'
        """
    ).fetchone() == (0,)
