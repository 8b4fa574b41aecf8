"""Incremental equals full, and both equal the design: the property that everything else rests on."""

from __future__ import annotations

import itertools
import json
import os
import random
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import books_oracle
import hostile
from orchestration import datasets
from rehearsal import Rehearsal, differences

#: Each example is several refreshes.
EXAMPLES = 12 if os.environ.get("SLOW") else 2


@pytest.fixture(autouse=True)
def new_york(business: Callable[..., None]) -> None:
    """A business day that isn't the UTC day."""
    business(business_timezone=hostile.TIMEZONE)


@pytest.fixture(scope="session")
def names() -> Iterator[str]:
    """Names of datasets that nobody has used: all live in one home, so that dbt parses the project once."""
    return (f"books_{number}" for number in itertools.count())


def test_books_tell_one_story_however_they_were_kept(home: Path, names: Iterator[str]) -> None:
    # As of a day in the middle first; then past the clock change; back; forward again; to the end. Files that hold
    # messages of closed days arrive at every step.
    plan = hostile.draw_plan(seed=20250309)
    books = Rehearsal(home, next(names))
    plan.deliver(books.raw, datetime(2025, 3, 8, 12))
    books.refresh(datetime(2025, 3, 8, 12), as_of=date(2025, 3, 1))
    books.refresh(datetime(2025, 3, 10, 15))
    plan.deliver(books.raw, datetime(2025, 3, 21, 3))
    books.refresh(datetime(2025, 3, 21, 3), as_of=date(2025, 3, 5))
    as_of_then = books.rebuilt(next(names), datetime(2025, 3, 21, 3), as_of=date(2025, 3, 5))
    # On the way back no fact was written or taken away; what is published is that day's state.
    assert books.query("select max(received_date) > '2025-03-05' from intermediate.int_order_entries") == [(True,)]
    assert differences(books, as_of_then, ("macro_segments", "micro_segments", "marts", "quality")) == []

    plan.deliver(books.raw, datetime(2025, 4, 8, 3))
    books.refresh(datetime(2025, 4, 8, 3))
    assert late_files(books) > 5
    shuffled = home / "raw" / next(names)
    plan.deliver(shuffled, datetime(2025, 4, 8, 3), random.Random(1))
    assert differences(books, books.rebuilt(next(names), datetime(2025, 4, 8, 3), raw=shuffled)) == []
    assert disagreements(books) == []


@st.composite
def runs(draw: st.DrawFn) -> list[tuple[datetime, date | None]]:
    """Times of the clock in rising order, some with an AS_OF; the last without."""
    now, found = datetime(2025, 2, 25), []
    for gap_hours, days_back in draw(
        st.lists(st.tuples(st.integers(20, 400), st.integers(0, 20)), min_size=2, max_size=3)
    ):
        now += timedelta(hours=gap_hours)
        as_of = max(now.date() - timedelta(days=days_back), hostile.FIRST_DAY) if days_back > 6 else None
        found.append((now, as_of))
    return [*found, (now + timedelta(hours=draw(st.integers(1, 60))), None)]


@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
    phases=[Phase.generate], suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(seed=st.integers(0, 2**32), runs=runs())
def test_any_sequence_of_runs_equals_a_rebuild(
    home: Path, names: Iterator[str], seed: int, runs: list[tuple[datetime, date | None]]
) -> None:
    plan = hostile.draw_plan(seed, people=60, messages_per_day=25)
    books = Rehearsal(home, next(names))
    for now, as_of in runs:
        plan.deliver(books.raw, now)
        books.refresh(now, as_of)
    shuffled = home / "raw" / next(names)
    plan.deliver(shuffled, now, random.Random(seed))
    assert differences(books, books.rebuilt(next(names), now, raw=shuffled)) == []
    assert disagreements(books) == []


def test_the_demo_day_by_day_equals_a_rebuild(home: Path, names: Iterator[str], business: Callable[..., None]) -> None:
    demo = datasets.describe("demo")
    business(**demo.variables)
    books = Rehearsal(home, "demo")
    for until in (date(2025, 4, 29), date(2025, 4, 30), date(2025, 5, 2)):
        now = datetime.combine(until, datetime.min.time()) + timedelta(days=2)
        datasets.prepare(books.settings, source=None, size=200, until=until, now=now)
        if until.day == 29:  # a day's file that comes when its day is long closed
            withheld = min((books.raw / "events" / "received_date=2025-03-14").iterdir())
            aside = withheld.rename(home / withheld.name)
        books.refresh(now)
    aside.rename(withheld)
    books.refresh(now + timedelta(days=1))
    assert late_files(books) >= 1
    assert differences(books, books.rebuilt(next(names), now + timedelta(days=1))) == []


def late_files(books: Rehearsal) -> int:
    """Files that hold a message of a day that was closed when they came."""
    return sum(
        bool(file["open_date"]) and (file["first_posted_at"] or "9") < file["open_date"]
        for file in books.manifest().values()
    )


def disagreements(books: Rehearsal) -> list[str]:
    """Where a warehouse's facts and snapshots differ from the plain reading of the rules in books_oracle.py."""
    rates = [json.loads(line) for line in (books.settings.manifest / "exchange_rates.jsonl").read_text().splitlines()]
    oracle = books_oracle.Books(books.raw, books.manifest(), rates, hostile.TIMEZONE)
    [(as_of,)] = books.query("select snapshot_date from intermediate.int_snapshot_dates where is_latest")
    snapshots = [
        day for (day,) in books.query("select snapshot_date from intermediate.int_snapshot_dates order by all")
    ]
    found: list[str] = []

    def compare(what: str, actual: dict[Any, Any], expected: dict[Any, Any]) -> None:
        wrong = [key for key in actual.keys() | expected.keys() if actual.get(key) != expected.get(key)]
        found.extend(
            f"{what} {key}: {actual.get(key)}, should be {expected.get(key)}" for key in sorted(wrong, key=str)[:3]
        )
        if what.endswith(str(as_of)) or " as of " not in what:
            assert expected, f"nothing to compare: {what}"

    ledger = books.query(
        "select received_date, outcome, reject_reason, sum(messages) from intermediate.int_message_ledger group by all"
    )
    compare("ledger", {tuple(key): count for *key, count in ledger}, oracle.ledger(as_of))
    links = books.query("select anonymous_id, user_id from intermediate.int_identity_links")
    compare("link", dict(links), oracle.links(as_of))
    order_states = oracle.order_states(as_of)
    compare("order entries", posted_orders(books), expected_entries(order_states))
    for day in snapshots:
        sessions = books.query(
            "select device_id, event_date, is_user, actor_id, sum(sessions) from intermediate.int_session_entries "
            f"where received_date <= '{day}' group by all having sum(sessions) <> 0"
        )
        compare(f"sessions as of {day}", {tuple(key): count for *key, count in sessions}, oracle.sessions(day))
        aliases = oracle.aliases(day)
        ends = books.query(
            f"select previous_id, customer_id from intermediate.int_alias_snapshots where snapshot_date = '{day}'"
        )
        compare(f"alias as of {day}", dict(ends), {name: books_oracle.end_of_chain(name, aliases) for name in aliases})
        customers = oracle.customers(day)
        columns = list(next(iter(oracle.customers(as_of).values())))
        rows = books.query(
            f"select customer_id, {', '.join(columns)} from intermediate.int_customer_snapshots "
            f"where snapshot_date = '{day}'"
        )
        actual = {customer: dict(zip(columns, values, strict=True)) for customer, *values in rows}
        compare(f"customer as of {day}", actual, customers)
        contacts = books.query(
            f"select customer_id, is_contactable from intermediate.int_contact_snapshots where snapshot_date = '{day}'"
        )
        compare(f"contact as of {day}", dict(contacts), oracle.contactable(day))
        stated = books.query(
            "select customer_id, lifestyle, country, city from intermediate.int_trait_snapshots "
            f"where snapshot_date = '{day}'"
        )
        traits = {
            customer: dict(zip(("lifestyle", "country", "city"), said, strict=True)) for customer, *said in stated
        }
        compare(f"traits as of {day}", traits, oracle.traits(day))
    return found


ENTRY_SUMS = (
    "orders",
    "items",
    "revenue",
    "discount",
    "tax",
    "shipping",
    "refunded_revenue",
    "net_revenue_order_currency",
)


def posted_orders(books: Rehearsal) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """(order, received date) -> what the journal posted; (order, received date, refund date) -> refunded."""
    sums = ", ".join(f"sum({name})" for name in ENTRY_SUMS)
    rows = books.query(
        f"select order_id, received_date, event_date, order_currency, is_user, actor_id, {sums} "
        "from intermediate.int_order_entries group by all"
    )
    found = {(row[0], row[1]): row[2:] for row in rows if any(row[6:])}
    refunds = books.query(
        "select order_id, received_date, refund_date, sum(refunded_revenue) from intermediate.int_order_entries "
        "where entry_type = 'refund' group by all having sum(refunded_revenue) <> 0"
    )
    return found | {tuple(row[:3]): row[3] for row in refunds}


def expected_entries(orders: dict[str, list[books_oracle.OrderState]]) -> dict[tuple[Any, ...], Any]:
    """The same from the states of each order: what each day changed."""
    found: dict[tuple[Any, ...], Any] = {}
    for order_id, states in orders.items():
        before = [0] * len(ENTRY_SUMS)
        refunded_before: dict[date, Any] = {}
        for state in states:
            now = [
                int(not state.is_cancelled), state.items, state.revenue, state.discount, state.tax, state.shipping,
                state.refunded, state.net_order_currency,
            ]  # fmt: skip
            change = tuple(value - earlier for value, earlier in zip(now, before, strict=True))
            if any(change):
                is_user, actor_id = state.actor or (False, None)
                found[order_id, state.posted] = (state.order_date, state.currency, is_user, actor_id, *change)
            for day in state.refunded_by_day.keys() | refunded_before.keys():
                refunded = state.refunded_by_day.get(day, 0) - refunded_before.get(day, 0)
                if refunded:
                    found[order_id, state.posted, day] = refunded
            before, refunded_before = now, state.refunded_by_day
    return found
