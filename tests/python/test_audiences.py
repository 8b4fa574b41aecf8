"""From raw messages to audiences: exactly the right people, now and before."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from hostile import as_line
from orchestration.rules import FIELDS_FILE
from orchestration.settings import PROJECT_DIR
from rehearsal import Rehearsal

AS_OF = date(2025, 8, 15)
SEARCHED, BOUGHT, TWENTY_FIVE = "2025-03-20", "2025-03-01", "2000-01-01"

#: Who should be in `anime_sneaker_fans`: bought the category, aged 20 to 30, searched for the words 4 to 6 months ago.
#: Everybody else misses it by the step that the name tells.
FANS = {
    "fan", "searched exactly 4 months ago", "searched exactly 6 months ago", "searched in other letters",
    "searched on a device linked later", "aged 20", "aged 30", "category in other letters", "category by the reference",
    "refunded in part", "bought twice, refunded once", "bought long ago", "searched again lately",
}  # fmt: skip


class Shop:
    """Messages in the order in which they are written down."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def say(self, kind: str, day: str, received: str | None = None, **more: Any) -> None:
        """A message of a day (noon, UTC); `kind` is a type, or a track message's event."""
        is_type = kind in ("identify", "page")
        self.messages.append({
            "message_id": f"m{len(self.messages)}", "type": kind if is_type else "track",
            "event": None if is_type else kind, "timestamp": f"{day}T12:00:00Z",
            "received_at": f"{received or day}T12:00:01Z", **more,
        })  # fmt: skip

    def search(self, day: str, query: str = "character shoes", received: str | None = None, **who: str) -> None:
        self.say("Products Searched", day, received, properties={"query": query}, **who)

    def order(self, user: str, order_id: str, category: str | None = "Anime sneakers", day: str = BOUGHT,
              **more: Any) -> None:  # fmt: skip
        known = {"product_id": "p1", "category": category} if category else {"product_id": "p2"}
        line = known | {"price": 80, "quantity": 1}
        self.say("Order Completed", day, user_id=user,
                 properties={"order_id": order_id, "subtotal": 80, "products": [line]} | more)  # fmt: skip

    def person(
        self, user: str, *, searched: str | None = SEARCHED, query: str = "character shoes",
        birthday: str | None = TWENTY_FIVE, category: str | None = "Anime sneakers", bought: str | None = BOUGHT,
    ) -> str:  # fmt: skip
        """Somebody who fits all steps, but for what is said otherwise. Returns the order's id."""
        if birthday:
            self.say("identify", "2025-01-10", user_id=user, traits={"birthday": birthday})
        if searched:
            self.search(searched, query, user_id=user)
        if bought:
            self.order(user, f"o {user}", category, bought)
        return f"o {user}"


def everybody() -> list[dict[str, Any]]:
    """The people of FANS, and those who miss it."""
    shop = Shop()
    shop.person("fan")
    # When: both ends of the window count.
    shop.person("searched exactly 4 months ago", searched="2025-04-15")
    shop.person("searched a day too late", searched="2025-04-16")
    shop.person("searched exactly 6 months ago", searched="2025-02-15")
    shop.person("searched a day too early", searched="2025-02-14")
    shop.person("searched again lately")
    shop.search("2025-08-10", user_id="searched again lately")
    shop.person("search not posted yet", searched=None)
    shop.search(SEARCHED, received="2025-08-16", user_id="search not posted yet")
    # What.
    shop.person("searched in other letters", query="  Cute CHARACTER\tshoes for kids")
    shop.person("searched for other words", query="character hats, shoes")
    shop.person("never searched", searched=None)
    # Who searched: a device is its user's from the day on which the link is posted.
    shop.person("searched on a device linked later", searched=None)
    shop.search(SEARCHED, anonymous_id="phone")
    shop.say("page", "2025-08-05", anonymous_id="phone", user_id="searched on a device linked later")
    shop.person("searched on a device nobody linked", searched=None)
    shop.search(SEARCHED, anonymous_id="tablet")
    # Age at the snapshot date: both ends count; a band is not an age.
    shop.person("aged 19", birthday="2005-08-16")
    shop.person("aged 20", birthday="2005-08-15")
    shop.person("aged 30", birthday="1994-08-16")
    shop.person("aged 31", birthday="1994-08-15")
    shop.person("of unknown age", birthday=None)
    shop.person("of an age band", birthday=None)
    shop.say("identify", "2025-01-10", user_id="of an age band", traits={"age": "25-34"})
    # Bought: ever, and what is left of it.
    shop.person("bought long ago", bought="2024-12-24")
    shop.person("category in other letters", category="ANIME Sneakers ")
    shop.person("category by the reference", category=None)
    shop.person("other category", category="Anime")
    shop.person("never bought", bought=None)
    order_id = shop.person("refunded in full")
    shop.say("Order Refunded", "2025-08-10", user_id="refunded in full", properties={"order_id": order_id, "total": 80})
    order_id = shop.person("refunded in part")
    shop.say("Order Refunded", "2025-08-10", user_id="refunded in part", properties={"order_id": order_id, "total": 79})
    order_id = shop.person("bought twice, refunded once")
    shop.say("Order Refunded", "2025-04-10", user_id="x", properties={"order_id": order_id})
    shop.order("bought twice, refunded once", "second", day="2025-04-01")
    order_id = shop.person("cancelled")
    shop.say("Order Cancelled", "2025-03-02", user_id="cancelled", properties={"order_id": order_id})
    # Two steps missed.
    shop.person("only aged so", searched=None, bought=None)
    # Everything else that a rule may ask for.
    shop.order("busy", "busy", "Hats", "2025-08-01", channel="in_store", store_id="s1", coupon="SAVE")
    shop.messages[-1]["properties"]["products"][0] |= {"name": "Top hat", "brand": "Good"}
    shop.messages[-1]["context"] = {"campaign": {"name": "spring"}}
    for event in ("Product Viewed", "Product Added", "Product Added to Wishlist", "Checkout Started",
                  "Email Delivered", "Email Opened", "Email Link Clicked"):  # fmt: skip
        shop.say(event, "2025-08-01", user_id="busy", properties={"product_id": "p2", "email_id": "e"})
    shop.say("page", "2025-08-20", user_id="fan")
    return shop.messages


@pytest.fixture(scope="module")
def shop(home: Path) -> Rehearsal:
    """Everybody, as of a day in August; messages after it are there already."""
    books = Rehearsal(home, "audiences")
    events = books.raw / "events" / "messages.jsonl"
    events.parent.mkdir(parents=True)
    events.write_text("".join(as_line(one, camel=True) + "\n" for one in everybody()))
    (books.raw / "products.csv").write_text("product_id,category,brand\np2,Anime sneakers,Better\n")
    books.refresh(datetime(2025, 8, 25, 12), as_of=AS_OF)
    return books


def published(books: Rehearsal, sql: str) -> list[tuple[Any, ...]]:
    """Rows of what readers see."""
    with duckdb.connect(str(books.settings.published / "strata.duckdb"), read_only=True) as db:
        return db.execute(sql).fetchall()


def test_exactly_the_right_people_are_in_the_audience(shop: Rehearsal) -> None:
    members = published(
        shop, "select customer_id from marts.audience_members where audience_id = 'anime_sneaker_fans' and is_current"
    )
    assert {customer for (customer,) in members} == FANS
    assert len(members) == len(FANS)
    people = {customer for (customer,) in published(shop, "select customer_id from marts.customers")}
    assert people > FANS


def test_membership_is_what_was_known_at_each_snapshot(shop: Rehearsal) -> None:
    stays = published(shop, """
        select customer_id, valid_from, valid_to
        from marts.audience_members
        where audience_id = 'anime_sneaker_fans'
        order by all
    """)  # fmt: skip
    month_end = date(2025, 7, 31)
    assert ("fan", month_end, None) in stays
    # The link was posted in August, the refund too: July doesn't know of them.
    assert ("searched on a device linked later", AS_OF, None) in stays
    assert ("refunded in full", month_end, AS_OF) in stays
    # A window moves on, and people grow older.
    assert ("searched a day too early", date(2025, 6, 30), AS_OF) in stays
    assert ("aged 31", month_end, AS_OF) in stays
    assert ("searched exactly 4 months ago", AS_OF, None) in stays


def test_whoever_misses_one_step_is_near(shop: Rehearsal) -> None:
    query = (PROJECT_DIR / "examples" / "queries" / "near_misses.sql").read_text()
    assert len([line for line in query.splitlines() if line and not line.startswith("--")]) <= 12
    near = published(shop, query.replace("win_back_by_email", "anime_sneaker_fans"))
    by_step: dict[str, set[str]] = {}
    for step, customer, *_ in near:
        by_step.setdefault(step, set()).add(customer)
    assert by_step == {
        "bought category is Anime sneakers": {"other category", "never bought", "refunded in full", "cancelled"},
        "age between 20 and 30": {"aged 19", "aged 31", "of unknown age", "of an age band"},
        "searched query contains character shoes, 4 to 6 months ago": {
            "searched a day too late", "searched a day too early", "search not posted yet", "searched for other words",
            "never searched", "searched on a device nobody linked",
        },
    }  # fmt: skip


def test_funnels_count_what_sets_of_people_say(shop: Rehearsal) -> None:
    everyone = {customer for (customer,) in published(shop, "select customer_id from marts.customers")}
    fits: dict[tuple[str, int], set[str]] = {}
    excluded: dict[tuple[str, int], bool] = {}
    for audience, step, is_excluded, nested, customers in shop.query(f"""
        select rules.audience_id, rules.step, rules.is_excluded, rules.nested_audience_id, list(matches.customer_id)
        from intermediate.int_audience_rules as rules
        left join micro_segments.micro_condition_matches as matches
            on rules.condition_number = matches.condition_number and matches.snapshot_date = '{AS_OF}'
        group by all
    """):  # fmt: skip
        fits.setdefault((audience, step), set()).update(customers or ())
        excluded[audience, step] = is_excluded
        if nested:
            fits[audience, step] |= {
                customer
                for (customer,) in published(
                    shop,
                    f"select customer_id from marts.audience_members where audience_id = '{nested}' and is_current",
                )
            }
    passes = {key: everyone - customers if excluded[key] else everyone & customers for key, customers in fits.items()}
    assert {True, False} == set(excluded.values())

    def all_of(keys: Iterator[tuple[str, int]]) -> int:
        return len(everyone.intersection(*(passes[key] for key in keys)))

    expected = {
        (audience, step): (
            all_of(key for key in passes if key[0] == audience and key[1] <= step),
            len(passes[audience, step]),
            all_of(key for key in passes if key[0] == audience and key[1] != step),
        )
        for audience, step in passes
    }
    funnel = published(
        shop,
        "select audience_id, step, customers_after, customers_alone, customers_without from marts.audience_funnel",
    )
    assert {(audience, step): tuple(counts) for audience, step, *counts in funnel} == expected


def test_a_small_audience_is_said_to_be_small(shop: Rehearsal) -> None:
    [row] = published(shop, """
        select customers, is_too_small, email_contactable_customers, predicted_ltv_365d, last_exported_date
        from marts.audiences
        where audience_id = 'anime_sneaker_fans'
    """)  # fmt: skip
    assert row == (len(FANS), True, None, None, None)


def test_every_behaviour_of_the_catalogue_is_made(shop: Rehearsal) -> None:
    with FIELDS_FILE.open(encoding="utf-8", newline="") as file:
        listed = {(row["kind"], row["field"]) for row in csv.DictReader(file) if row["kind"] != "number"}
    made = set(shop.query("select distinct behaviour, field from intermediate.int_behaviours where times <> 0"))
    assert made == listed
