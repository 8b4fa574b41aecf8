"""Why a customer is in a segment, and what a change of rules would do: on their own, and held against a refresh."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration import datasets
from orchestration.diff_rules import COMPARED, diff_rules, nodes_to_build
from orchestration.diff_rules import lines_of as lines_of_diff
from orchestration.errors import StrataError
from orchestration.explain import (
    NUMBERS,
    NUMBERS_OF_A_DAY,
    SCORES,
    Band,
    Change,
    Tree,
    band_changes,
    change_in_words,
    explain,
    fails_by,
    figure,
    lifecycle_changes,
    lifecycle_rule,
    lines_of,
    moving_changes,
    place,
    reach,
    read_bands,
    read_tree,
    rfm_changes,
    rfm_group,
    size_in_words,
)
from orchestration.refresh import refresh
from orchestration.rules import SEEDS_DIR
from rehearsal import Rehearsal

NOW = datetime(2025, 10, 2, 12)


# ---- bands, and what it takes to get into another one

AGES = [Band("18-24", 18, 25, False), Band("25-34", 25, 35, False), Band("35-44", 35, 45, False)]
TIERS = [Band("low", 0, 9.5, True), Band("medium", 12, 40, True)]


@pytest.mark.parametrize(
    ("number", "band", "reached"),
    [
        (24, AGES[1], (25, False)),
        (25, AGES[1], None),
        (34.9, AGES[1], None),
        (35, AGES[1], (35, True)),  # the end is not in it
        (40, AGES[1], (35, True)),
        (9.5, TIERS[0], None),  # the largest number of the tier is
        (10, TIERS[0], (9.5, False)),
        (11, TIERS[1], (12, False)),
    ],
)
def test_the_nearest_number_of_a_band(number: float, band: Band, reached: tuple[float, bool] | None) -> None:
    assert reach(number, band) == reached


def test_bands_that_could_be_reached_come_nearest_first() -> None:
    up, down = band_changes("household_size", "25-34", 33, AGES)
    assert (up.after, up.target, up.is_below) == ("35-44", 35, False)
    assert (down.after, down.target, down.is_below) == ("18-24", 25, True)
    assert [change.after for change in band_changes("age_band", "25-34", 33, AGES)] == ["35-44"]  # nobody gets younger
    assert band_changes("age_band", "25-34", None, AGES) == []


def test_changes_are_said_with_threshold_and_margin() -> None:
    assert change_in_words(Change("a", "x", "y", "age", 33, 35)) == "age 35, 2 more"
    assert change_in_words(Change("a", "x", "y", "age", 33, 25, True)) == "age below 25, 8 less"
    assert change_in_words(Change("a", "x", "y", "age", 25, 25, True)) == "age below 25, any less"
    assert [figure(number) for number in (12.0, 1234567.891, 0.25)] == ["12", "1,234,567.89", "0.25"]


def test_a_change_is_as_large_as_it_is_for_the_number() -> None:
    sizes = [change.size for change in (
        Change("a", "x", "y", "orders", 100, 100, True),
        Change("a", "x", "y", "orders", 100, 101),
        Change("a", "x", "y", "orders", 1, 2),
        Change("a", "x", "y", "orders", 1, 100),
        Change("a", "x", "y"),
    )]  # fmt: skip
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 5


# ---- rules by which the first match holds


def seed(name: str) -> list[dict[str, Any]]:
    """A seed of the package, with whole numbers and truths as such."""
    with (SEEDS_DIR / f"{name}.csv").open() as file:
        return [{key: value_of(text) for key, text in row.items()} for row in csv.DictReader(file)]


def value_of(text: str) -> Any:
    if text in ("", "true", "false"):
        return {"": None, "true": True, "false": False}[text]
    return int(text) if text.lstrip("-").isdigit() else text


def numbers(orders: int, last: int | None, first: int | None, between: int | None = None) -> dict[str, Any]:
    return {
        "is_known": True, "orders": orders, "days_since_last_order": last, "days_since_first_order": first,
        "days_between_last_orders": between,
    }  # fmt: skip


def test_an_active_buyer_is_at_risk_after_half_a_year_and_loyal_after_four_orders() -> None:
    stages = seed("lifecycle_stages")
    now = numbers(2, 171, 300, 60)
    rule = lifecycle_rule(now, stages)
    assert rule and rule["lifecycle_stage"] == "active"
    found = {change.after: change for change in lifecycle_changes("active", now, stages)}
    assert change_in_words(found["at risk"]) == "days_since_last_order 181, 10 more (10 days without an order)"
    assert found["lapsed"].target == 366
    assert found["loyal"].target == 4
    assert found["loyal"].words == "2 orders on this day"


def test_a_stage_that_ends_after_a_day_ends_on_the_next() -> None:
    found = {one.after: one for one in lifecycle_changes("new", numbers(1, 10, 10), seed("lifecycle_stages"))}
    assert found["active"].words == "21 days without an order"  # new up to 30 days after the first order


def test_who_comes_back_is_reactivated_until_ordering_again() -> None:
    found = {one.after: one for one in lifecycle_changes("at risk", numbers(2, 200, 900, 30), seed("lifecycle_stages"))}
    assert found["reactivated"].words == "an order on this day"
    assert found["loyal"].words == "2 orders on this day"  # between these two there is no silence


def test_a_lead_becomes_new_by_an_order_and_by_no_wait() -> None:
    [change] = [one for one in lifecycle_changes("lead", numbers(0, None, None), seed("lifecycle_stages"))
                if one.after == "new"]  # fmt: skip
    assert (change.name, change.number, change.target) == ("orders", 0, 1)
    assert all(one.name == "orders" for one in lifecycle_changes("lead", numbers(0, None, None),
                                                                seed("lifecycle_stages")))  # fmt: skip


def test_an_rfm_group_changes_with_one_score() -> None:
    groups = seed("rfm_groups")
    scores = dict(zip(SCORES, ("5", "4", "4"), strict=True))
    assert rfm_group(scores, groups) == "champions"
    steps = [
        Change("recency_score", "5", "4", "days_since_last_order", 10, 31),
        Change("monetary_score", "4", "3", "net_revenue", 100, 99),
        Change("frequency_score", "4", "5", "orders", 4, 9),
    ]
    [change] = rfm_changes("champions", scores, steps, groups)
    # Both lead to the same group: the smaller one is said.
    assert (change.after, change.name, change.words) == ("loyal customers", "net_revenue", "monetary_score 4 -> 3")


# ---- the tree

SPLIT = {"customers": 60, "min_customers": 50, "is_open": True, "is_kept": True, "is_split": True}
TREE = Tree(
    rules=[
        {"priority": 10, "macro_segment": "Europe", "region": "Europe", "age_band": None},
        {"priority": 20, "macro_segment": "Young", "region": None, "age_band": "18-24"},
        {"priority": 99, "macro_segment": "Rest", "region": None, "age_band": None},
    ],
    bases={
        "Europe": {"base": "Europe", "base_id": "e", "layer_set": "*"},
        "Young": {"base": None, "base_id": None, "layer_set": "*"},
    },
    layers={"*": ["stage", "tier"]},
    splits={
        (1, "e", "active"): {**SPLIT, "attribute": "stage", "node_id": "ea", "other_id": "e~"},
        (1, "e", "lead"): {**SPLIT, "attribute": "stage", "is_kept": False, "node_id": "e~", "other_id": "e~"},
        (2, "ea", "high"): {**SPLIT, "attribute": "tier", "is_split": False, "node_id": "ea", "other_id": "ea~"},
    },
    names={"ea": "Europe / active", "e~": "Europe / other stage"},
)
ANN = {"region": "Europe", "age_band": "18-24", "stage": "active", "tier": "high"}


def test_the_first_rule_that_matches_holds_and_the_others_fail_by_a_dimension() -> None:
    assert fails_by(TREE.rules[0], {**ANN, "region": "Asia"}) == "region"
    assert fails_by(TREE.rules[0], ANN) is None
    assert place({**ANN, "region": "Asia"}, TREE).macro_segment == "Young"
    assert place({**ANN, "region": "Asia", "age_band": "25-34"}, TREE).macro_segment == "Rest"


@pytest.mark.parametrize(
    ("changed", "segment"),
    [
        ({}, "ea"),
        ({"tier": "low"}, "ea"),  # a node that is not split keeps everybody
        ({"stage": "lead"}, "e~"),
        ({"stage": "never seen"}, "e~"),
        ({"region": "Asia"}, None),  # too few to be shown
        ({"region": "Asia", "age_band": "65+"}, None),  # nobody is there
    ],
)
def test_customers_walk_down_the_tree(changed: Mapping[str, str], segment: str | None) -> None:
    assert place({**ANN, **changed}, TREE).segment == segment


def test_the_smallest_change_that_moves_comes_first() -> None:
    changes = [
        Change("tier", "high", "low", "value", 10, 9),  # moves nobody
        Change("stage", "active", "lead"),
        Change("stage", "active", "lapsed", "days", 100, 181),
        Change("region", "Europe", "Asia"),  # to where nothing is shown
    ]
    [(change, there)] = moving_changes(ANN, changes, TREE)
    assert (change.after, there.segment) == ("lapsed", "e~")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"customers": 63}, "63 customers here have it, at least 50: a group of its own"),
        ({"customers": 62}, "62 customers here have it, which closes below 50: a group of its own"),
        (
            {"customers": 50, "min_customers": 40},
            "50 customers here have it, at least 40: a group of its own",
        ),
        (
            {"customers": 50, "is_kept": False, "is_open": False},
            "50 customers here have it, but it had fewer than 50 before, and opens at 63 on a month-end: "
            "in the remainder",
        ),
        ({"is_split": False}, "60 customers here have it; the node is not split: it takes two groups of 50"),
        ({"customers": 49, "is_kept": False}, "49 customers here have it, fewer than 50: in the remainder"),
        (
            {"is_kept": False, "is_open": False},
            "60 customers here have it, but it had fewer than 50 before, and opens at 63 on a month-end: "
            "in the remainder",
        ),
        (
            {"is_kept": False},
            "60 customers here have it; as the smallest it joins the remainder, which would have fewer than 50 "
            "without it",
        ),
    ],
)
def test_sizes_say_why_a_value_is_kept_or_not(changed: Mapping[str, Any], said: str) -> None:
    assert size_in_words({**SPLIT, **changed}, 1.25) == said


def test_what_a_change_reaches_is_built_and_what_does_not_last_with_it() -> None:
    parents = {
        "attributes": ["facts", "bands"], "steps": ["attributes"], "scores": ["steps", "segments"],
        "segments": ["attributes", "layers"], "members": ["attributes", "rules"], "page": ["segments"],
    }  # fmt: skip
    lasting = {"facts", "attributes", "segments", "scores", "members", "bands", "layers", "rules"}
    targets = ["scores", "segments", "members"]

    def built(*changed: str) -> set[str]:
        return nodes_to_build(parents, changed, targets, lasting)

    assert built("layers") == {"layers", "segments", "scores", "steps"}
    assert built("rules") == {"rules", "members"}
    assert built("bands") == {"bands", "attributes", "steps", "segments", "scores", "members"}
    assert built("unused") == set()


# ---- on a publication

RULES = """macro_segment,layer,attribute,min_customers
*,0,macro_segment,30
*,1,lifecycle_stage,15
*,2,ltv_tier,15
"""


@pytest.fixture(scope="module")
def shop(home: Path) -> Rehearsal:
    """A small demo under rules of its own."""
    books = Rehearsal(home, "explained")
    demo = Rehearsal(home, "demo", books.raw)
    datasets.prepare(demo.settings, source=None, size=800, until=date(2025, 9, 30), now=NOW)
    folder = home / "rules"
    folder.mkdir()
    (folder / "micro_segment_layers.csv").write_text(RULES)
    refresh(books.settings, rules=str(folder), own_raw=True, now=NOW.astimezone(), progress=False)
    return books


@pytest.fixture
def db(shop: Rehearsal) -> Iterator[duckdb.DuckDBPyConnection]:
    """The publication, with the warehouse."""
    with duckdb.connect(str(shop.settings.published / "strata.duckdb"), read_only=True) as connection:
        connection.execute(f"attach '{shop.settings.warehouse}' as warehouse (read_only)")
        yield connection


def rows_of(db: duckdb.DuckDBPyConnection) -> Callable[..., list[dict[str, Any]]]:
    def rows(query: str, **parameters: Any) -> list[dict[str, Any]]:
        found = db.execute(query, parameters)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    return rows


def test_everybody_is_where_the_explanation_says(db: duckdb.DuckDBPyConnection) -> None:
    rows = rows_of(db)
    for [day] in db.execute("select distinct snapshot_date from marts.customer_snapshots").fetchall():
        tree = read_tree(rows, day)
        customers = rows(
            "select attributes.*, published.micro_segment_id as published_id "
            "from warehouse.micro_segments.micro_attributes as attributes "
            "inner join marts.customer_snapshots as published using (snapshot_date, customer_id) "
            "where snapshot_date = $day", day=day,
        )  # fmt: skip
        assert [one["customer_id"] for one in customers if place(one, tree).segment != one["published_id"]] == []
    assert len({one["published_id"] for one in customers}) > 5


def test_every_value_is_that_of_the_number_said_to_be_behind_it(db: duckdb.DuckDBPyConnection) -> None:
    rows = rows_of(db)
    [[day]] = db.execute("select as_of from quality.publication").fetchall()
    db.execute(f"create temp table numbers as {NUMBERS_OF_A_DAY}", {"day": day})
    customers = rows(
        "select numbers.*, attributes.* exclude (snapshot_date, customer_id, children), numbers.children as number_of, "
        "attributes.children from warehouse.micro_segments.micro_attributes as attributes "
        "inner join numbers using (customer_id) where snapshot_date = $day", day=day,
    )  # fmt: skip
    stages, groups = rows("from warehouse.seeds.lifecycle_stages order by priority"), seed("rfm_groups")
    for one in customers:
        rule = lifecycle_rule(one, stages)
        assert rule and rule["lifecycle_stage"] == one["lifecycle_stage"]
        assert one["rfm_group"] == "none" or rfm_group(one, groups) == one["rfm_group"]
    banded = {name for [name] in db.execute(
        "select attribute from warehouse.seeds.bands union select attribute from warehouse.seeds.quantile_bands"
    ).fetchall()}  # fmt: skip
    assert banded == set(NUMBERS)
    for attribute, name in NUMBERS.items():
        bands = {band.value: band for band in read_bands(rows, attribute, day)}
        known = [one for one in customers if one[attribute] in bands]
        numbered = [(one[attribute], one["number_of" if name == "children" else name]) for one in known]
        assert [pair for pair in numbered if reach(float(pair[1]), bands[pair[0]]) is not None] == [], attribute
    assert len(known) > 50


def test_an_explanation_is_readable(shop: Rehearsal, db: duckdb.DuckDBPyConnection) -> None:
    [[customer, segment]] = db.execute(
        "select customer_id, micro_segment from marts.customers where macro_segment <> 'Companies' "
        "and lifecycle_stage = 'active' and ltv_tier = 'medium' order by customer_id limit 1"
    ).fetchall()
    db.close()
    text = "\n".join(lines_of(explain(shop.settings, customer)))
    assert f"Micro-segment   {segment}\n" in text
    assert "rule   10  Companies" in text and "no: customer_type is b2c, not b2b" in text
    assert "layer 1   lifecycle_stage = active" in text and "days without an order)" in text
    assert "layer 2   ltv_tier = medium" in text and "      else    high at predicted_ltv_365d " in text
    assert "Smallest changes of one attribute that would move the customer\n    1.  " in text
    assert "  Audiences" in text


def test_what_is_not_there_is_said_with_what_is(shop: Rehearsal) -> None:
    with pytest.raises(StrataError, match=r"no customer 'nobody' in 'explained'.* the most valuable of them C"):
        explain(shop.settings, "nobody")
    with pytest.raises(StrataError, match=r"no snapshot of 2020-01-01.* keeps 2025-01-31, .*2025-09-30"):
        explain(shop.settings, "nobody", date(2020, 1, 1))
    with pytest.raises(StrataError, match="make refresh DATASET=nothing"):
        explain(Rehearsal(shop.settings.home, "nothing").settings, "nobody")


# ---- last, since it refreshes


def members(publication: Path) -> dict[str, dict[str, set[str]]]:
    """Kind of group -> group -> its customers, as published."""
    queries = {
        "macro": "select macro_segment, customer_id from marts.customers",
        "micro": "select micro_segment, customer_id from marts.customers",
        "audience": "select audience, customer_id from marts.audience_members join marts.audiences using (audience_id) "
        "where is_current",
    }
    found: dict[str, dict[str, set[str]]] = {kind: {} for kind in COMPARED}
    with duckdb.connect(str(publication), read_only=True) as db:
        for kind, query in queries.items():
            for group, customer in db.execute(query).fetchall():
                found[kind].setdefault(group, set()).add(customer)
    return found


def test_a_difference_is_what_a_refresh_makes_of_it(
    shop: Rehearsal, tmp_path: Path, business: Callable[..., None]
) -> None:
    def fingerprints() -> dict[str, str]:
        files = [shop.settings.warehouse, *shop.settings.published.rglob("*"), *shop.settings.manifest.rglob("*")]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()}

    old, link = shop.settings.home / "rules", shop.settings.published / "strata.duckdb"
    shutil.copytree(old, tmp_path / "same")
    lines = RULES.splitlines()
    (tmp_path / "same" / "micro_segment_layers.csv").write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    before = fingerprints()
    for rules in (old, tmp_path / "same"):  # rows in another order are the same rules
        same = diff_rules(shop.settings, rules=str(rules), own_raw=True, progress=False)
        assert same.groups is None
        assert "No difference" in "\n".join(lines_of_diff(shop.settings, same))

    new = tmp_path / "new"
    new.mkdir()
    (new / "micro_segment_layers.csv").write_text(RULES.replace("lifecycle_stage,15", "lifecycle_stage,25"))
    bands = (SEEDS_DIR / "bands.csv").read_text()
    (new / "bands.csv").write_text(bands.replace("25-34,25,35", "25-34,25,38").replace("35-44,35,45", "35-44,38,45"))
    audiences = (SEEDS_DIR / "audience_rules.csv").read_text()
    (new / "audience_rules.csv").write_text(audiences.replace("at most,4", "at most,2"))
    found = diff_rules(shop.settings, rules=str(new), own_raw=True, progress=False)
    assert [Path(name).stem for name in found.changed_seeds] == ["audience_rules", "bands", "micro_segment_layers"]
    assert fingerprints() == before
    assert list(shop.settings.warehouse.parent.glob("explained.diff*")) == []

    business(reporting_currency="EUR")
    with pytest.raises(StrataError, match="can't be compared"):
        diff_rules(shop.settings, rules=str(new), own_raw=True, progress=False)
    business(reporting_currency="USD")

    earlier = members(Path(os.path.realpath(link)))
    refresh(shop.settings, rules=str(new), own_raw=True, now=NOW.astimezone(), progress=False)
    later = members(Path(os.path.realpath(link)))
    assert found.groups and found.unchanged
    for kind in COMPARED:
        expected = {}
        for group in earlier[kind].keys() | later[kind].keys():
            was, now = earlier[kind].get(group, set()), later[kind].get(group, set())
            if was != now:
                expected[group] = (len(was), len(now), len(now - was), len(was - now))
        said = {
            group.label: (group.customers_before, group.customers_after, group.entered, group.left)
            for group in found.groups[kind]
        }
        assert {label: sizes for label, sizes in said.items() if sizes[2] or sizes[3]} == expected
        assert expected
    with duckdb.connect(str(link), read_only=True) as db:
        values = dict(db.execute(
            "select micro_segment, sum(predicted_ltv_365d) from marts.customers where predicted_ltv_365d is not null "
            "group by all"
        ).fetchall())  # fmt: skip
    for group in found.groups["micro"]:
        assert group.value_after == values.get(group.label, 0)
    assert found.net_revenue_before == found.net_revenue_after > 0
