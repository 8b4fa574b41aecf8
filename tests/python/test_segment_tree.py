"""The tree of micro-segments, on random customers and rules, against a plain reading of its rule customer by customer.

The models' SQL is compiled by dbt once and run by DuckDB over made-up attributes: an example takes a tenth of a second.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import md5
from typing import Any

import duckdb
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.settings import PROJECT_DIR

EXAMPLES = 300 if os.environ.get("SLOW") else 20
SNAPSHOTS = ("2026-01-18", "2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-03", "2026-05-10")
MONTH_ENDS = SNAPSHOTS[1:5]
ATTRIBUTES = ("city", "lifecycle_stage", "ltv_tier", "rfm_group")
OPENS_AT = 1.25
RULES_DATE = "2026-02-28"
#: In the order in which they are built.
MODELS = (
    "micro_counted_dates", "micro_layers", "micro_layer_values", "micro_cells", "micro_bases", "micro_splits",
    "micro_nodes", "micro_tree", "micro_customer_snapshots",
)  # fmt: skip
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

Customers = dict[str, tuple[str, dict[str, str]]]
"""Customer -> macro-segment and attributes."""


@dataclass
class Shop:
    """Customers by snapshot, and the layers: macro-segment or `*` -> (number, attribute, minimum) in any order."""

    days: dict[str, Customers]
    layers: dict[str, list[tuple[int, str, int]]]
    base_minimum: int

    def layers_of(self, base: str) -> list[tuple[int, str, int]]:
        """A macro-segment without layers of its own has those of `*`."""
        return self.layers.get(base) or self.layers["*"]


def draw_shop(seed: int, most_customers: int = 60) -> Shop:
    """A shop whose customers come, go and change from day to day; sizes hover around the minimum."""
    luck = random.Random(seed)
    macros = ["A", "B'", "C", "D"][: luck.randint(1, 4)]
    values = {name: [f"{name[0]}{n}" for n in range(luck.randint(1, 6))] + ["unknown"] for name in ATTRIBUTES}
    slant = {name: [luck.random() ** 2 for _ in found] for name, found in values.items()}

    def draw_values(names: Iterable[str]) -> dict[str, str]:
        return {name: luck.choices(values[name], slant[name])[0] for name in names}

    days: dict[str, Customers] = {}
    today: Customers = {}
    for day in SNAPSHOTS:
        for number in range(luck.randint(0, most_customers // 3)):
            today[f"{day}-{number}"] = (luck.choice(macros), draw_values(ATTRIBUTES))
        today = {
            customer: (
                luck.choice(macros) if luck.random() < 0.05 else macro,
                found | draw_values(name for name in ATTRIBUTES if luck.random() < 0.15),
            )
            for customer, (macro, found) in today.items()
            if luck.random() > 0.1
        }
        days[day] = today

    def draw_layers() -> list[tuple[int, str, int]]:
        names = luck.sample(ATTRIBUTES, luck.randint(0, 4))
        return [(number, name, luck.randint(1, 6)) for number, name in enumerate(names, start=1)]

    owners = ["*", *(name for name in [*macros, "Other customers", "All customers"] if luck.random() < 0.3)]
    return Shop(days, {owner: draw_layers() for owner in owners}, luck.randint(1, 12))


class Tree:
    """What the tree's rule says of one snapshot, read off the customers themselves."""

    def __init__(self, shop: Shop, snapshot: str) -> None:
        self.shop, self.snapshot = shop, snapshot
        self.month_ends = [day for day in MONTH_ENDS if day <= snapshot]
        self.counted = sorted({*self.month_ends, snapshot})
        everybody = {(day, customer) for day in self.counted for customer in shop.days[day]}
        self.base_of: dict[str, str] = {}
        self.rules: dict[str, tuple[str, dict[str, str], str]] = {}
        """Node -> attribute, kept value -> child, child of all other values, where a layer splits it."""
        self.layers_of: dict[str, list[tuple[int, str, int]]] = {}
        self.segments: dict[str, str] = {}
        self.minimums: dict[str, int] = {}
        root = digest("all")
        kept = self._kept(everybody, self._macro, shop.base_minimum)
        self.is_shown = sum(day == snapshot for day, _ in everybody) >= shop.base_minimum
        for macro in {self._macro(member) for member in everybody}:
            if kept is None:
                base, node = "All customers", root
            elif macro in kept:
                base, node = macro, digest(f"{root}|macro_segment|value|{macro}")
            else:
                base, node = "Other customers", digest(f"{root}|macro_segment|other|")
            self.base_of[macro] = node
            self.layers_of[node] = sorted(shop.layers_of(base))
        for node in self.layers_of:
            members = {member for member in everybody if self.base_of[self._macro(member)] == node}
            self._grow(node, members, self.layers_of[node], shop.base_minimum)

    def _macro(self, member: tuple[str, str]) -> str:
        return self.shop.days[member[0]][member[1]][0]

    def _kept(self, members: set[Any], value_of: Callable[[Any], str], minimum: int) -> set[str] | None:
        """The values that become children; None where there is no split."""
        counts = Counter((day, value_of((day, customer))) for day, customer in members)
        values = {value for _, value in counts}
        large = set()
        for value in values:
            is_open = True
            for day in self.month_ends:  # opens at 1.25 times the minimum, closes below it, stays as it is between
                count = counts[day, value]
                is_open = count >= minimum and (is_open or count >= OPENS_AT * minimum)
            if is_open and counts[self.snapshot, value] >= minimum:
                large.add(value)
        rest = sum(counts[self.snapshot, value] for value in values - large)
        if large and 0 < rest < minimum:
            large.remove(min(large, key=lambda value: (sum(counts[day, value] for day in self.counted), value)))
            rest = minimum
        return large if len(large) + (rest > 0) >= 2 else None

    def _grow(self, node: str, members: set[Any], layers: list[tuple[int, str, int]], minimum: int) -> None:
        if not layers:
            self.segments |= {customer: node for day, customer in members if day == self.snapshot}
            self.minimums[node] = minimum
            return

        def value_of(member: tuple[str, str]) -> str:
            return self.shop.days[member[0]][member[1]][1][attribute]

        (_, attribute, layer_minimum), *deeper = layers
        kept = self._kept(members, value_of, layer_minimum)
        if kept is None:
            self._grow(node, members, deeper, minimum)
            return
        children = {value: digest(f"{node}|{attribute}|value|{value}") for value in kept}
        other = digest(f"{node}|{attribute}|other|")
        self.rules[node] = attribute, children, other
        for child in {*children.values(), other}:
            inside = {member for member in members if children.get(value_of(member), other) == child}
            self._grow(child, inside, deeper, layer_minimum)

    def walk(self, macro: str, found: dict[str, str]) -> str | None:
        """Where a customer of any day stands by this snapshot's rules; None for an unknown macro-segment."""
        node = self.base_of.get(macro)
        while node in self.rules:
            attribute, children, other = self.rules[node]
            node = children.get(found[attribute], other)
        return node


def digest(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(repr=False)
class Models:
    """Compiled models: for all snapshots, and for the last one alone, on top of the others."""

    full: Mapping[str, str]
    last: Mapping[str, str]
    walk: str
    database: str

    def build(self, shop: Shop, luck: random.Random | None = None) -> duckdb.DuckDBPyConnection:
        """A database with all models. `luck`: rows are put in in another order."""
        db = duckdb.connect(config={"threads": 1})
        db.execute(f"attach ':memory:' as {self.database}; use {self.database}")
        db.execute("create schema seeds; create schema intermediate; create schema micro_segments")
        self._insert(db, "intermediate.int_snapshot_dates", "snapshot_date date, is_month_end boolean",
                     [(day, day in MONTH_ENDS) for day in SNAPSHOTS], luck)  # fmt: skip
        self._insert(db, "seeds.attributes", "attribute varchar, label_suffix varchar",
                     [(name, None) for name in ATTRIBUTES], luck)  # fmt: skip
        rules = [("*", 0, "macro_segment", shop.base_minimum)]
        rules += [(macro, *layer) for macro, layers in shop.layers.items() for layer in layers]
        layer_columns = "macro_segment varchar, layer integer, attribute varchar, min_customers integer"
        self._insert(db, "seeds.micro_segment_layers", layer_columns, rules, luck)
        columns = sorted(set(attribute_columns()) - set(ATTRIBUTES))
        self._insert(
            db, "micro_segments.micro_attributes",
            "snapshot_date date, customer_id varchar, macro_segment varchar, "
            + ", ".join(f"{name} varchar" for name in (*ATTRIBUTES, *columns)),
            [
                (day, customer, macro, *(found[name] for name in ATTRIBUTES), *("x" for _ in columns))
                for day, customers in shop.days.items()
                for customer, (macro, found) in customers.items()
            ],
            luck,
        )  # fmt: skip
        for model in MODELS:
            db.execute(f"create table micro_segments.{model} as {self.full[model]}")
        return db

    @staticmethod
    def _insert(db: Any, table: str, columns: str, rows: list[tuple[Any, ...]], luck: random.Random | None) -> None:
        db.execute(f"create table {table} ({columns})")
        if luck:
            luck.shuffle(rows)
        if rows:
            marks = f"({', '.join('?' * len(rows[0]))})"
            db.execute(
                f"insert into {table} values {', '.join([marks] * len(rows))}", [value for row in rows for value in row]
            )


def attribute_columns() -> list[str]:
    """The names in macros/attribute_columns.sql."""
    text = (PROJECT_DIR / "macros/attribute_columns.sql").read_text()
    return [part for part in text.split("return(")[1].split("'") if part.replace("_", "").isalnum()]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The project's models, compiled."""
    home = tmp_path_factory.mktemp("tree")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRATA_WAREHOUSE", str(home / "tree.duckdb"))
        patch.setenv("DBT_PROJECT_DIR", str(PROJECT_DIR))
        common = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
        common += ["--target-path", str(home / "target"), "--log-path", str(home), "--quiet"]

        parsed = dbtRunner().invoke(["parse", *common])
        assert parsed.success, parsed.exception
        runner = dbtRunner(manifest=parsed.result)

        def compiled(build: Iterable[str], *arguments: str) -> dict[str, str]:
            told = json.dumps({"snapshots": SNAPSHOTS, "snapshots_to_build": build, "as_of": SNAPSHOTS[-1]})
            done = runner.invoke(["compile", *common, "--vars", told, *arguments])
            assert done.success, done.exception
            return {item.node.name: item.node.compiled_code for item in done.result}

        models_only = ["--indirect-selection", "empty", "--select", *MODELS]
        full = compiled(SNAPSHOTS, *models_only)
        last = compiled(SNAPSHOTS[-1:], *models_only)
        [walk] = compiled(SNAPSHOTS, "--inline", WALK).values()
        DuckDBConnectionManager.close_all_connections()
    return Models(full, last, walk, "tree")


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
    return {model: db.execute(f"from micro_segments.{model} order by all").fetchall() for model in MODELS}


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
    dated = [model for model in MODELS if model not in ("micro_counted_dates", "micro_layers")]
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
