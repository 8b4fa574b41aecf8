"""The tree of micro-segments, on random customers and rules, against a plain reading of its rule, one by one."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segment_shop import SNAPSHOTS, TREE_MODELS, Shop, Tree, compile_models, digest, draw_shop, open_shop

EXAMPLES = 300 if os.environ.get("SLOW") else 20
RULES_DATE = "2026-02-28"
#: Customers of the last day, walked by the rules of RULES_DATE.
WALK = f"""
with bases as (
    select * from {{{{ ref('micro_bases') }}}} where snapshot_date = cast('{RULES_DATE}' as date)
),

splits as (
    select * from {{{{ ref('micro_splits') }}}}
),

cells as (
    select bases.snapshot_date as rules_date, bases.base_id, layer_values.*
    from {{{{ ref('micro_layer_values') }}}} as layer_values
    inner join bases
        on layer_values.macro_segment = bases.macro_segment and layer_values.layer_set = bases.layer_set
    where layer_values.snapshot_date = cast('{SNAPSHOTS[-1]}' as date)
),

{{{{ walk_tree('cells', 'walked') }}}}

select customer_id, micro_segment_id from walked
"""


@dataclass(repr=False)
class Models:
    """Compiled models: for all snapshots, and for the last one alone, on top of the others."""

    full: Mapping[str, str]
    last: Mapping[str, str]
    walk: str

    def build(self, shop: Shop, luck: random.Random | None = None) -> duckdb.DuckDBPyConnection:
        """A database with all models. `luck`: rows are put in in another order."""
        db = open_shop(shop, luck)
        for model in TREE_MODELS:
            db.execute(f"create table micro_segments.{model} as {self.full[model]}")
        return db


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The project's models, compiled."""
    builds = [SNAPSHOTS, SNAPSHOTS[-1:]]
    full, last, inline = compile_models(tmp_path_factory.mktemp("tree"), TREE_MODELS, builds, inline=WALK)
    return Models(full, last, *inline.values())


def memberships(db: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Snapshot -> customer -> segment."""
    found: dict[str, dict[str, str]] = {day: {} for day in SNAPSHOTS}
    for day, customer, segment in db.execute(
        "select snapshot_date, customer_id, micro_segment_id from micro_segments.micro_customer_snapshots"
    ).fetchall():
        assert customer not in found[str(day)], "a customer is in two segments"
        found[str(day)][customer] = segment
    return found


def contents(db: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    """Every table that lasts, as sorted rows."""
    return {model: db.execute(f"from micro_segments.{model} order by all").fetchall() for model in TREE_MODELS}


@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
@given(seed=st.integers(0, 2**32))
def test_segments_are_what_the_rule_says(models: Models, seed: int) -> None:
    shop = draw_shop(seed)
    db = models.build(shop)
    found = memberships(db)
    for snapshot in SNAPSHOTS:
        tree = Tree(shop, snapshot)
        assert found[snapshot] == (tree.segments if tree.is_shown else {})
        # Whatever the rule makes of it: everybody is in one segment or nobody in any, and none is too small.
        assert len(found[snapshot]) in (0, len(shop.days[snapshot]))
        sizes = Counter(found[snapshot].values())
        assert all(size >= tree.minimums[segment] for segment, size in sizes.items())
    assert alike_nodes(db) == []
    assert customers_whom_a_rule_misses(db) == []

    # The rules of a past day hold for later customers.
    then = Tree(shop, RULES_DATE)
    expected = {customer: then.walk(*about) for customer, about in shop.days[SNAPSHOTS[-1]].items() if then.is_shown}
    walked = dict(db.execute(models.walk).fetchall())
    assert walked == {customer: node for customer, node in expected.items() if node}

    # One more snapshot equals a rebuild.
    full = contents(db)
    dated = [model for model in TREE_MODELS if model not in ("micro_counted_dates", "micro_layers")]
    for model in dated:
        db.execute(f"delete from micro_segments.{model} where snapshot_date = '{SNAPSHOTS[-1]}'")
    for model in dated:
        db.execute(f"insert into micro_segments.{model} {models.last[model]}")
    assert contents(db) == full

    # Rows in another order, and rules that are put in other words, draw the same segments.
    macros = {macro for customers in shop.days.values() for macro, _ in customers.values()}
    spelled_out = {owner: shop.layers_of(owner) for owner in [*macros, "Other customers", "All customers"]}
    renumbered = {owner: [(7 + 10 * number, *rest) for number, *rest in found] for owner, found in spelled_out.items()}
    other = models.build(Shop(shop.days, {"*": [], **renumbered}, shop.base_minimum), random.Random(seed))
    assert memberships(other) == found
    assert other.execute(NODES).fetchall() == db.execute(NODES).fetchall()


NODES = "select * exclude (layer) from micro_segments.micro_nodes order by all"


def alike_nodes(db: duckdb.DuckDBPyConnection) -> list[Any]:
    """Segments of one snapshot that share a name or a rule."""
    counts = "select snapshot_date, {0} from micro_segments.micro_nodes group by all having count(*) > 1"
    return [
        row for label in ("micro_segment", "rule", "rule_sql") for row in db.execute(counts.format(label)).fetchall()
    ]


def customers_whom_a_rule_misses(db: duckdb.DuckDBPyConnection) -> list[Any]:
    """Customers of the last snapshot in a segment whose rule_sql they don't meet, or outside of one whose they do."""
    db.execute(
        f"""
        create view customers as
        select segments.customer_id, segments.micro_segment_id, segments.macro_segment,
            attributes.* exclude (snapshot_date, customer_id, macro_segment)
        from micro_segments.micro_customer_snapshots as segments
        inner join micro_segments.micro_attributes as attributes using (snapshot_date, customer_id)
        where snapshot_date = '{SNAPSHOTS[-1]}'
        """
    )
    rules = db.execute(
        "select distinct micro_segment_id, rule_sql from micro_segments.micro_tree where snapshot_date = ?",
        [SNAPSHOTS[-1]],
    ).fetchall()
    return [
        (customer, rule)
        for segment, rule in rules
        for customer in db.execute(
            f"select customer_id from customers where ({rule}) <> (micro_segment_id = '{segment}')"
        ).fetchall()
    ]


def test_examples_are_worth_trying() -> None:
    """Among the shops drawn there are trees of every kind; otherwise the tests above would prove little."""
    seen: Counter[str] = Counter()
    for seed in range(200):
        shop = draw_shop(seed)
        tree = Tree(shop, SNAPSHOTS[-1])
        small = Tree(shop, SNAPSHOTS[0])
        seen["hidden"] += not small.is_shown
        seen["all customers"] += digest("all") in tree.base_of.values()
        seen["deep"] += len(tree.rules) > 4
        seen["other"] += any(other in tree.segments.values() for _, _, other in tree.rules.values())
        plain = Tree(
            Shop({day: shop.days[SNAPSHOTS[-1]] for day in SNAPSHOTS}, shop.layers, shop.base_minimum), SNAPSHOTS[-1]
        )
        seen["hysteresis matters"] += plain.segments != tree.segments
    assert all(seen[kind] >= 10 for kind in ("hidden", "all customers", "deep", "other", "hysteresis matters")), seen
