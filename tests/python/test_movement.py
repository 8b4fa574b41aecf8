"""Movement between segments, on random customers and rules, against a plain reading of it customer by customer."""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segment_shop import MONTH_ENDS, SNAPSHOTS, TREE_MODELS, Shop, Tree, compile_models, digest, draw_shop, insert
from segment_shop import open_shop as open_segments

EXAMPLES = 200 if os.environ.get("SLOW") else 15
#: Schema and name, in the order in which they are built.
MODELS = (
    "intermediate.int_snapshot_pairs", *(f"micro_segments.{name}" for name in TREE_MODELS),
    "micro_segments.micro_paths", "micro_segments.micro_cells_by_other_rules", "micro_segments.micro_moves",
    "micro_segments.micro_migrations", "micro_segments.micro_migration_cells", "marts.segment_migrations",
)  # fmt: skip
SMALLEST_CELL = 5
PAIRS = sorted({*pairwise(SNAPSHOTS), *pairwise((*MONTH_ENDS, SNAPSHOTS[-1]))})


def draw_any_shop(seed: int) -> Shop:
    """Most have many customers, some hardly enough to show a segment."""
    return draw_shop(seed, most_customers=8 if seed % 3 == 0 else 200)


@dataclass
class People:
    """What is known of the customers of a shop beside their segments; dates as text."""

    value: dict[tuple[str, str], Decimal | None] = field(default_factory=dict)
    is_known: dict[str, bool] = field(default_factory=dict)
    first_seen: dict[str, str] = field(default_factory=dict)
    given_up: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Id -> day on which it was given up, who it is since."""


def draw_people(shop: Shop, seed: int) -> People:
    """Values, names and merges: some of those who go are known under another id since, maybe of somebody who came."""
    luck = random.Random(seed)
    people = People()
    for earlier, (day, customers) in zip(("2026-01-01", *SNAPSHOTS), shop.days.items(), strict=False):
        for customer in customers:
            people.value[day, customer] = Decimal(luck.randint(0, 99_999)) / 100 if luck.random() < 0.7 else None
            people.is_known.setdefault(customer, luck.random() < 0.6)
            people.first_seen.setdefault(customer, luck.choice(["2026-01-01", earlier, day]))
    for before, now in pairwise(SNAPSHOTS):
        came = [*(shop.days[now].keys() - shop.days[before].keys())]
        for customer in sorted(shop.days[before].keys() - shop.days[now].keys()):
            if shop.days[now] and luck.random() < 0.5:
                other = luck.choice(sorted(came or shop.days[now]))
                people.given_up[customer] = (luck.choice([now, f"{now[:8]}{int(now[8:]) - 1:02}"]), other)
    return people


def base_of(tree: Tree, macro: str) -> str:
    """A macro-segment that the day has not seen stands with those that are too small, or with all."""
    root = digest("all")
    unsplit = root in tree.base_of.values()
    return tree.base_of.get(macro) or (root if unsplit else digest(f"{root}|macro_segment|other|"))


def steps(tree: Tree, macro: str, found: Mapping[str, str]) -> Iterator[tuple[str, str | None, bool]]:
    """Layer by layer: the attribute, the node it leads to (None where it splits nothing), is that the value's own."""
    root, node = digest("all"), base_of(tree, macro)
    yield "macro_segment", node if node != root else None, node == digest(f"{root}|macro_segment|value|{macro}")
    for _, attribute, _ in tree.layers_of.get(node, []):
        if node in tree.rules and tree.rules[node][0] == attribute:
            _, children, other = tree.rules[node]
            node = children.get(found[attribute], other)
            yield attribute, node, found[attribute] in children
        else:
            yield attribute, None, False


def stands(tree: Tree, macro: str, found: Mapping[str, str]) -> str | None:
    """The segment of a customer of any day by a snapshot's rules; None where the snapshot shows none."""
    passed = [node for _, node, _ in steps(tree, macro, found) if node]
    return (passed[-1] if passed else digest("all")) if tree.is_shown else None


def expected_migrations(shop: Shop, people: People) -> dict[tuple[Any, ...], list[Any]]:
    """(before, now, step, from, to, cause) -> customers, value before and after."""
    trees = {day: Tree(shop, day) for day in SNAPSHOTS}
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, Decimal(0), Decimal(0)])

    def add(pair: tuple[str, str], step: str, start: Any, end: Any, cause: str, before: Any, after: Any) -> None:
        if start or end:
            cell = found[*pair, step, start, end, cause]
            cell[0] += 1
            cell[1] += before if start and before else 0
            cell[2] += after if end and after else 0

    for before, now in PAIRS:
        merges = {old: new for old, (day, new) in people.given_up.items() if before < day <= now}
        renamed = {new for old, new in merges.items() if people.is_known[old] and old in shop.days[before]}
        then, today = shop.days[before], shop.days[now]
        for customer in then.keys() | today.keys():
            value_then, value_now = people.value.get((before, customer)), people.value.get((now, customer))
            start = stands(trees[before], *then[customer]) if customer in then else None
            between = stands(trees[before], *today[customer]) if customer in today else None
            end = stands(trees[now], *today[customer]) if customer in today else None
            if customer not in today:
                cause = "merged" if customer in merges else "left"
            elif customer in then:
                cause = behaviour_cause(trees[before], then[customer], today[customer])
            elif customer in renamed:
                cause = "renamed"
            elif people.first_seen[customer] > before:
                cause = "new"
            else:
                cause = "became known" if people.is_known[customer] else "returned"
            add((before, now), "behaviour", start, between, cause, value_then, value_now)
            if customer in today:
                cause = redrawing_cause(trees[before], trees[now], today[customer])
                add((before, now), "redrawing", between, end, cause, value_now, value_now)
    return dict(found)


def behaviour_cause(tree: Tree, then: Any, now: Any) -> str:
    """The first attribute on the way that leads elsewhere."""
    for (attribute, was, _), (_, goes, _) in zip(steps(tree, *then), steps(tree, *now), strict=False):
        if was != goes:
            return attribute
    return "stayed"


def redrawing_cause(before: Tree, now: Tree, about: Any) -> str:
    """Did the first group that differs open, or close?"""
    if not before.is_shown:
        return "segment opened"
    if not now.is_shown:
        return "segment closed"
    for (_, was, was_own), (_, goes, goes_own) in zip(steps(before, *about), steps(now, *about), strict=False):
        if was != goes:
            closed = goes is None or (was_own and not goes_own)
            return "segment closed" if closed and was is not None else "segment opened"
    return "stayed"


def open_shop(models: Mapping[str, str], shop: Shop, people: People) -> duckdb.DuckDBPyConnection:
    """A database with all models."""
    db = open_segments(shop)
    db.execute("create schema lifetime_value; create schema marts")
    insert(
        db, "intermediate.int_customer_snapshots",
        "snapshot_date date, customer_id varchar, is_known boolean, first_received_date date",
        [
            (day, customer, people.is_known[customer], people.first_seen[customer])
            for day, customers in shop.days.items() for customer in customers
        ],
    )  # fmt: skip
    insert(
        db, "lifetime_value.ltv_customer_snapshots",
        "snapshot_date date, customer_id varchar, predicted_ltv_365d decimal(18, 2)",
        [(day, customer, value) for (day, customer), value in people.value.items() if value is not None],
    )  # fmt: skip
    insert(
        db, "intermediate.int_merge_snapshots",
        "snapshot_date date, given_up_id varchar, customer_id varchar, received_date date",
        [
            (snapshot, old, new, day)
            for snapshot in SNAPSHOTS for old, (day, new) in people.given_up.items()
            if day[:7] == snapshot[:7] and day <= snapshot
        ],
    )  # fmt: skip
    for model in MODELS:
        db.execute(f"create table {model} as {models[model.split('.')[1]]}")
    return db


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The project's models, compiled."""
    names = [model.split(".")[1] for model in MODELS]
    [found] = compile_models(tmp_path_factory.mktemp("movement"), names, [SNAPSHOTS])
    return found


@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
@given(seed=st.integers(0, 2**32))
def test_movement_is_what_became_of_each_customer(models: Mapping[str, str], seed: int) -> None:
    shop = draw_any_shop(seed)
    people = draw_people(shop, seed)
    db = open_shop(models, shop, people)
    rows = db.execute(
        "select cast(previous_snapshot_date as varchar), cast(snapshot_date as varchar), step, from_id, to_id, cause, "
        "customers, predicted_ltv_365d_before, predicted_ltv_365d_after from micro_segments.micro_migrations"
    ).fetchall()
    assert {row[:6]: list(row[6:]) for row in rows} == expected_migrations(shop, people)

    # What is published of it adds up, segment by segment, and shows nobody alone.
    for previous, snapshot in PAIRS:
        sizes = {day: figures(shop, people, day) for day in (previous, snapshot)}
        for period in ("month", "snapshot"):
            shown = db.execute(
                "select step, from_micro_segment_id, to_micro_segment_id, cause, customers, "
                "predicted_ltv_365d_before, predicted_ltv_365d_after from marts.segment_migrations "
                "where period = ? and previous_snapshot_date = ? and snapshot_date = ?",
                [period, previous, snapshot],
            ).fetchall()
            if period == "month" and (previous not in MONTH_ENDS or snapshot not in (*MONTH_ENDS, SNAPSHOTS[-1])):
                assert shown == []
            elif period == "month" or snapshot == SNAPSHOTS[SNAPSHOTS.index(previous) + 1]:
                assert added(shown, "behaviour", 1, 5) == sizes[previous]
                assert added(shown, "behaviour", 2, 6) == added(shown, "redrawing", 1, 5)
                assert added(shown, "redrawing", 2, 6) == sizes[snapshot]
                for step, start, end, cause, customers, *_ in shown:
                    whole = sizes[previous].get(start) if step == "behaviour" else sizes[snapshot].get(end)
                    assert customers >= SMALLEST_CELL or (cause == "suppressed" and whole and whole[0] == customers)


def figures(shop: Shop, people: People, day: str) -> dict[str, tuple[int, Decimal]]:
    """Segment -> its customers and their value."""
    tree = Tree(shop, day)
    members: dict[str, list[Decimal]] = defaultdict(list)
    for customer, segment in tree.segments.items() if tree.is_shown else ():
        members[segment].append(people.value[day, customer] or Decimal(0))
    return {segment: (len(values), sum(values, Decimal(0))) for segment, values in members.items()}


def added(rows: list[tuple[Any, ...]], step: str, end: int, value: int) -> dict[str, tuple[int, Decimal]]:
    """Segment at one end of a step -> customers and value there."""
    found: dict[str, list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    for row in rows:
        if row[0] == step and row[end]:
            found[row[end]][0] += row[4]
            found[row[end]][1] += row[value]
    return {segment: (customers, total) for segment, (customers, total) in found.items()}


def test_examples_are_worth_trying() -> None:
    """Among the shops drawn there is movement of every kind; otherwise the test above would prove little."""
    seen: Counter[str] = Counter()
    for seed in range(60):
        shop = draw_any_shop(seed)
        for (_, _, step, start, _, cause), (customers, *_) in expected_migrations(
            shop, draw_people(shop, seed)
        ).items():
            seen[cause] += 1
            seen["small"] += customers < SMALLEST_CELL
            seen["many"] += customers >= SMALLEST_CELL and cause != "stayed"
            seen["nothing before"] += step == "redrawing" and start is None
    kinds = {
        "stayed", "macro_segment", "city", "new", "became known", "renamed", "returned", "merged", "left",
        "segment opened", "segment closed", "small", "many", "nothing before",
    }  # fmt: skip
    assert all(seen[kind] >= 10 for kind in kinds), seen
