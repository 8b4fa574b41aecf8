"""Made-up shops, and what the rules of segments say of them, read off customer by customer.

The models' SQL is compiled by dbt once and run by DuckDB over made-up attributes: a shop takes a tenth of a second.
"""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from orchestration.settings import PROJECT_DIR

SNAPSHOTS = ("2026-01-18", "2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-03", "2026-05-10")
MONTH_ENDS = SNAPSHOTS[1:5]
ATTRIBUTES = ("city", "lifecycle_stage", "ltv_tier", "rfm_group")
OPENS_AT = 1.25
#: The models that draw the segments, in the order in which they are built.
TREE_MODELS = (
    "micro_counted_dates", "micro_layers", "micro_layer_values", "micro_cells", "micro_bases", "micro_splits",
    "micro_nodes", "micro_tree", "micro_customer_snapshots",
)  # fmt: skip

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


def compile_models(
    home: Path, models: Iterable[str], builds: Iterable[tuple[str, ...]], inline: str | None = None
) -> list[dict[str, str]]:
    """Model -> SQL, for each of `builds`, the snapshots that a run computes; and, last, the SQL of `inline`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRATA_WAREHOUSE", str(home / "shop.duckdb"))
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

        selected = ["--indirect-selection", "empty", "--select", *models]
        found = [compiled(build, *selected) for build in builds]
        if inline:
            found.append(compiled(SNAPSHOTS, "--inline", inline))
        DuckDBConnectionManager.close_all_connections()
    return found


def open_shop(shop: Shop, luck: random.Random | None = None) -> duckdb.DuckDBPyConnection:
    """A database with all that the models of TREE_MODELS read. `luck`: rows are put in in another order."""
    db = duckdb.connect(config={"threads": 1})
    db.execute("attach ':memory:' as shop; use shop")
    db.execute("create schema seeds; create schema intermediate; create schema micro_segments")
    insert(db, "intermediate.int_snapshot_dates", "snapshot_date date, is_month_end boolean, is_latest boolean",
           [(day, day in MONTH_ENDS, day == SNAPSHOTS[-1]) for day in SNAPSHOTS], luck)  # fmt: skip
    insert(db, "seeds.attributes", "attribute varchar, label_suffix varchar",
           [(name, None) for name in ATTRIBUTES], luck)  # fmt: skip
    rules = [("*", 0, "macro_segment", shop.base_minimum)]
    rules += [(macro, *layer) for macro, layers in shop.layers.items() for layer in layers]
    layer_columns = "macro_segment varchar, layer integer, attribute varchar, min_customers integer"
    insert(db, "seeds.micro_segment_layers", layer_columns, rules, luck)
    insert(
        db, "attributes",
        "snapshot_date date, customer_id varchar, macro_segment varchar, "
        + ", ".join(f"{name} varchar" for name in ATTRIBUTES),
        [
            (day, customer, macro, *(found[name] for name in ATTRIBUTES))
            for day, customers in shop.days.items()
            for customer, (macro, found) in customers.items()
        ],
        luck,
    )  # fmt: skip
    constants = ", ".join(f"'x' as {name}" for name in sorted(set(attribute_columns()) - set(ATTRIBUTES)))
    db.execute(f"create view micro_segments.micro_attributes as select *, {constants} from attributes")
    return db


def insert(
    db: duckdb.DuckDBPyConnection, table: str, columns: str, rows: list[tuple[Any, ...]],
    luck: random.Random | None = None,
) -> None:  # fmt: skip
    """Create a table with rows, in another order where there is `luck`."""
    db.execute(f"create table {table} ({columns})")
    if luck:
        luck.shuffle(rows)
    if rows:
        marks = f"({', '.join('?' * len(rows[0]))})"
        db.execute(
            f"insert into {table} values {', '.join([marks] * len(rows))}", [value for row in rows for value in row]
        )


def attribute_columns() -> list[str]:
    """The attributes of the catalogue."""
    with (PROJECT_DIR / "seeds" / "rules" / "attributes.csv").open(newline="") as catalogue:
        return [row["attribute"] for row in csv.DictReader(catalogue)]
