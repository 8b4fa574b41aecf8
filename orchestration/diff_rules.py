"""`make diff-rules`: whom the rules as they lie there would move, before anything is published.

The models that depend on a changed rule are built once more, on the published day's facts, into a file of its own
beside the warehouse; neither the warehouse nor the publication is touched. All kept snapshots are built, since the size
of a segment at earlier month-ends decides whether it is open.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from orchestration import datasets, dbt, raw_files
from orchestration.errors import StrataError
from orchestration.lock import writer_lock
from orchestration.quoting import literal
from orchestration.refresh import Versions, books_of_publication
from orchestration.rules import Table, find_folder, read_rules, shown, write_own_rules
from orchestration.settings import Settings

#: What is compared: who is in which segment and audience, and what everybody is worth.
TARGETS = (
    "int_customer_snapshots",
    "ltv_customer_snapshots",
    "micro_customer_snapshots",
    "micro_audience_members",
    "micro_audience_steps",
)
#: Who moves, customer by customer: a file in proposals/<dataset>/.
MOVES_FILE = "rules_diff.csv"
COMPARED = {"macro": "Macro-segments", "micro": "Micro-segments", "audience": "Audiences"}


@dataclass(frozen=True)
class GroupDiff:
    """A segment or audience before and after: customers, who entered and left, predicted value in 365 days."""

    label: str
    customers_before: int
    customers_after: int
    entered: int
    left: int
    value_before: Decimal
    value_after: Decimal


@dataclass(frozen=True)
class Diff:
    """What would change on the published day."""

    as_of: date
    currency: str
    changed_seeds: Sequence[str]
    """The rules whose rows differ, as files; empty where only models, variables or references do."""
    is_logic_changed: bool
    """Have models, variables or reference tables changed too?"""
    customers: int = 0
    moved: Mapping[str, int] | None = None
    """Kind of group (macro, micro, audience) -> customers who change it."""
    groups: Mapping[str, Sequence[GroupDiff]] | None = None
    """Kind of group -> those that change, most moves first."""
    unchanged: Mapping[str, int] | None = None
    net_revenue_before: Decimal = Decimal(0)
    net_revenue_after: Decimal = Decimal(0)
    who: Path | None = None
    """The file that says who moves."""

    @property
    def is_empty(self) -> bool:
        """Does nobody and nothing change?"""
        return not any((self.groups or {}).values())


def diff_rules(settings: Settings, *, rules: str | None = None, own_raw: bool = False, progress: bool = True) -> Diff:
    """Compare the rules of the working tree (and of the folder `rules`) with the published ones.

    Raises StrataError where nothing is published, or where facts would change as well: these are no rules.
    """
    variables, folder = datasets.configuration_of(settings.dataset) if not own_raw else ({}, "")
    in_force = read_rules(find_folder(rules, folder))
    versions = Versions.of(settings, dbt.business_variables(variables), in_force.own_files)
    with writer_lock(settings):
        books, as_of = books_of_publication(settings)
        if books.facts_version != versions.facts:
            raise StrataError(
                "Not only rules have changed since the publication, but what facts are (staging, facts, macros, "
                "reference seeds, time zone or currency): a refresh builds the warehouse anew, so the two can't be "
                "compared customer by customer. Take those changes back, or refresh first."
            )
        seeds = changed_seeds(settings.warehouse, in_force.tables)
        is_logic_changed = books.logic_version != versions.logic
        named = [shown(in_force.tables[name].path) for name in seeds]
        currency = str(dbt.business_variables(variables)["reporting_currency"])
        if books.rules_version == versions.rules or not (seeds or is_logic_changed):
            return Diff(as_of, currency, named, is_logic_changed=False)
        trial = settings.trial
        remove(trial)
        try:
            told = {
                **dbt.business_variables(variables),
                "own_rules": write_own_rules(trial, in_force),
                "raw_root": raw_files.raw_root(settings.raw),
                "run_from": as_of.isoformat(),
                "run_to": as_of.isoformat(),
                "as_of": as_of.isoformat(),
                "snapshots": [day.isoformat() for day in books.snapshots],
                "snapshots_to_build": [day.isoformat() for day in books.snapshots],
            }
            build(settings, trial, told, seeds, is_logic_changed=is_logic_changed, progress=progress)
            with duckdb.connect() as db:
                db.execute("set threads = 2")
                db.execute(f"attach {literal(settings.published / 'strata.duckdb')} as published (read_only)")
                db.execute(f"attach {literal(trial.warehouse)} as trial (read_only)")
                return compare(db, settings, Diff(as_of, currency, named, is_logic_changed))
        finally:
            remove(trial)


def remove(trial: Settings) -> None:
    """Leave nothing of a comparison."""
    shutil.rmtree(trial.manifest, ignore_errors=True)
    for path in trial.warehouse.parent.glob(f"{trial.warehouse.name}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def changed_seeds(warehouse: Path, tables: Mapping[str, Table]) -> list[str]:
    """The rules whose rows are not those of the warehouse, whatever their order, by name."""
    found = []
    with duckdb.connect(str(warehouse), read_only=True) as db:
        for name, table in tables.items():
            columns = [row[:2] for row in db.execute(f"describe seeds.{name}").fetchall()]
            rows = [[row.get(column) for column, _ in columns] for row in table.rows.values()]
            db.execute(f"create temp table given ({', '.join(f'{column} varchar' for column, _ in columns)})")
            if rows:
                db.executemany(f"insert into given values ({', '.join('?' for _ in columns)})", rows)
            now = f"select {', '.join(f'cast({column} as {kind})' for column, kind in columns)} from given"
            query = f"(from ({now}) except all from seeds.{name}) union all (from seeds.{name} except all {now})"
            if db.execute(f"select 1 from ({query}) limit 1").fetchone():
                found.append(name)
            db.execute("drop table given")
    return sorted(found)


def nodes_to_build(
    parents: Mapping[str, Iterable[str]], changed: Iterable[str], targets: Iterable[str], lasting: Iterable[str]
) -> set[str]:
    """The nodes that a change reaches on the way to the targets, and what these read that doesn't last.

    `lasting`: nodes that hold all that is kept; others hold what the last run needed, and are built again.
    """
    ancestors = closure(parents, targets)
    children: dict[str, set[str]] = {}
    for node in ancestors:
        for parent in parents.get(node, ()):
            children.setdefault(parent, set()).add(node)
    reached = closure(children, set(changed) & ancestors)
    kept = set(lasting)
    return closure(
        {node: [parent for parent in parents.get(node, ()) if parent not in kept] for node in ancestors}, reached
    )


def closure(edges: Mapping[str, Iterable[str]], start: Iterable[str]) -> set[str]:
    """The nodes of `start`, and all that edges lead to from them."""
    found, open_nodes = set(), list(start)
    while open_nodes:
        node = open_nodes.pop()
        if node not in found:
            found.add(node)
            open_nodes += edges.get(node, ())
    return found


def build(
    settings: Settings,
    trial: Settings,
    told: Mapping[str, Any],
    seeds: Sequence[str],
    *,
    is_logic_changed: bool,
    progress: bool,
) -> None:
    """Make the targets in the trial's warehouse: what a change reaches is built, all else is copied."""
    parsed = dbt.parse(trial)
    nodes = {
        key: node for key, node in parsed.nodes.items() if node.resource_type in ("model", "seed")
    }  # fmt: skip
    named = {node.name: key for key, node in nodes.items()}
    parents = {key: [one for one in node.depends_on_nodes if one in nodes] for key, node in nodes.items()}
    changed = {named[name] for name in seeds}
    if is_logic_changed:
        changed |= {named[f"stg_{name}"] for name in raw_files.SNAPSHOT_REFERENCES}
        changed |= {key for key, node in nodes.items() if not is_fact(node)}
    lasting = {key for key, node in nodes.items() if is_lasting(node)}
    chosen = nodes_to_build(parents, changed, [named[name] for name in TARGETS], lasting)
    copied = {parent for key in chosen for parent in parents[key]} | {named[name] for name in TARGETS}
    trial.warehouse.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(trial.warehouse)) as db:
        db.execute(f"attach {literal(settings.warehouse)} as warehouse (read_only)")
        for key in sorted(copied - chosen):
            schema, table = nodes[key].schema, nodes[key].alias
            db.execute(f"create schema if not exists {schema}")
            db.execute(f"create table {schema}.{table} as from warehouse.{schema}.{table}")
    select = " ".join(sorted(nodes[key].name for key in chosen))
    dbt.build(trial, told, select=select, parsed=parsed, tests=False, progress=progress)


def is_fact(node: Any) -> bool:
    """Is this something that rules don't change? Seeds are compared by their rows."""
    return node.resource_type == "seed" or node.original_file_path.startswith(dbt.FACT_PATHS)


def is_lasting(node: Any) -> bool:
    """Does the warehouse hold all of it, and not only what the last run needed?"""
    materialized = node.config.materialized
    return materialized != "ephemeral" and (is_fact(node) or materialized == "incremental")


BEFORE = """
    create temp table before as
    select
        customers.customer_id, 'macro' as kind, macro_segment as group_id, macro_segment as label, predicted_ltv_365d
    from published.marts.customers
    where macro_segment is not null
    union all
    select customer_id, 'micro', micro_segment_id, micro_segment, predicted_ltv_365d
    from published.marts.customers
    where micro_segment_id is not null
    union all
    select members.customer_id, 'audience', audience_id, audiences.audience, customers.predicted_ltv_365d
    from published.marts.audience_members as members
    inner join published.marts.audiences as audiences using (audience_id)
    inner join published.marts.customers as customers using (customer_id)
    where members.is_current
"""
AFTER = """
    create temp table after as
    with lifetime_values as (
        select customer_id, predicted_ltv_365d
        from trial.lifetime_value.ltv_customer_snapshots
        where snapshot_date = $as_of
    ),

    segments as (
        select segments.*, predicted_ltv_365d
        from trial.micro_segments.micro_customer_snapshots as segments
        left join lifetime_values using (customer_id)
        where segments.snapshot_date = $as_of
    ),

    audiences as (
        select audience_id, max(audience) as audience
        from trial.micro_segments.micro_audience_steps
        group by audience_id
    )

    select customer_id, 'macro' as kind, macro_segment as group_id, macro_segment as label, predicted_ltv_365d
    from segments
    union all
    select customer_id, 'micro', micro_segment_id, micro_segment, predicted_ltv_365d
    from segments
    union all
    select members.customer_id, 'audience', audience_id, audience, predicted_ltv_365d
    from trial.micro_segments.micro_audience_members as members
    inner join audiences using (audience_id)
    left join lifetime_values using (customer_id)
    where members.snapshot_date = $as_of
"""
GROUPS = """
    select
        kind,
        coalesce(
            max(after.label)
            || case when max(before.label) <> max(after.label) then ' (was ' || max(before.label) || ')' else '' end,
            max(before.label)
        ) as label,
        count(before.customer_id) as customers_before,
        count(after.customer_id) as customers_after,
        count(after.customer_id) filter (where before.customer_id is null) as entered,
        count(before.customer_id) filter (where after.customer_id is null) as departed,
        coalesce(sum(before.predicted_ltv_365d), 0) as value_before,
        coalesce(sum(after.predicted_ltv_365d), 0) as value_after,
        count(before.label) > 0 and count(after.label) > 0 and max(before.label) <> max(after.label) as is_renamed
    from before
    full outer join after using (kind, group_id, customer_id)
    group by kind, group_id
    order by entered + departed desc, label
"""
MOVES = """
    select kind, customer_id, before.label as before, after.label as after,
        before.predicted_ltv_365d, after.predicted_ltv_365d
    from before
    full outer join after
        using (kind, customer_id)
    where kind <> 'audience' and before.group_id is distinct from after.group_id
    union all
    select kind, customer_id, before.label, after.label, before.predicted_ltv_365d, after.predicted_ltv_365d
    from before
    full outer join after using (kind, group_id, customer_id)
    where kind = 'audience' and (before.customer_id is null or after.customer_id is null)
    order by 1, 3 nulls first, 4 nulls first, 2
"""


def compare(db: duckdb.DuckDBPyConnection, settings: Settings, found: Diff) -> Diff:
    """Customer by customer: the publication, attached as `published`, against what was built, attached as `trial`."""
    db.execute(BEFORE)
    db.execute(AFTER, {"as_of": found.as_of})
    groups: dict[str, list[GroupDiff]] = {kind: [] for kind in COMPARED}
    unchanged = dict.fromkeys(COMPARED, 0)
    for kind, label, *figures, is_renamed in db.execute(GROUPS).fetchall():
        group = GroupDiff(label, *figures)
        if group.entered or group.left or group.value_before != group.value_after or is_renamed:
            groups[kind].append(group)
        else:
            unchanged[kind] += 1
    moves = db.execute(MOVES).fetchall()
    moved = {kind: len({customer for of, customer, *_ in moves if of == kind}) for kind in COMPARED}
    [(customers, before)] = db.execute("select count(*), sum(net_revenue) from published.marts.customers").fetchall()
    [(after,)] = db.execute(
        "select sum(net_revenue) from trial.intermediate.int_customer_snapshots where snapshot_date = ?", [found.as_of]
    ).fetchall()
    return Diff(
        found.as_of, found.currency, found.changed_seeds, found.is_logic_changed, customers, moved, groups, unchanged,
        before or Decimal(0), after or Decimal(0), write_moves(settings, moves) if moves else None,
    )  # fmt: skip


def write_moves(settings: Settings, moves: Sequence[tuple[Any, ...]]) -> Path:
    """Who moves, customer by customer, into proposals/<dataset>/, which nothing else reads."""
    path = settings.proposals / MOVES_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ("kind", "customer_id", "before", "after", "predicted_ltv_365d_before", "predicted_ltv_365d_after")
        )
        writer.writerows(moves)
    return path


def lines_of(settings: Settings, found: Diff) -> list[str]:
    """What is said of a difference: in all, then per group that changes."""
    head = ["", f"Rules in the working tree against the published ones · {settings.dataset} · as of {found.as_of}", ""]
    if found.groups is None:
        return [*head, "  No difference: the rules are those that are published.", ""]
    lines = [*head, f"  Rules       {', '.join(found.changed_seeds) or 'the same'}"]
    if found.is_logic_changed:
        lines.append("              models, variables or reference tables have changed too: what they do is in here")
    moved = found.moved or {}
    if found.is_empty:
        lines.append(f"  Customers   No difference: none of {found.customers:,} would change segment or audience.")
    else:
        lines.append(
            f"  Customers   of {found.customers:,}, {moved['macro']:,} change macro-segment, {moved['micro']:,} change "
            f"micro-segment, {moved['audience']:,} enter or leave an audience"
        )
    if found.net_revenue_before == found.net_revenue_after:
        lines.append(f"  Revenue     unchanged: {found.net_revenue_after:,.2f} {found.currency} net")
    else:
        lines.append(
            f"  Revenue     of the customers shown {found.net_revenue_before:,.2f} -> {found.net_revenue_after:,.2f} "
            f"{found.currency} net"
        )
    for kind, title in COMPARED.items():
        lines += table_of(title, found.groups[kind], (found.unchanged or {})[kind], found.currency)
    if found.who:
        lines += ["", f"  Who moves   {shown(found.who)}"]
    return [*lines, "  Nothing has changed yet: a refresh with these rules publishes it.", ""]


def table_of(title: str, groups: Sequence[GroupDiff], unchanged: int, currency: str) -> list[str]:
    """The groups of one kind that change, as aligned lines."""
    if not groups:
        return ["", f"  {title}: none of {unchanged:,} changes"] if unchanged else []
    width = max(len(title), *(len(group.label) for group in groups))
    lines = [
        "",
        f"  {title:<{width}}  customers before     after   entered      left   predicted LTV, 365 days, {currency}",
    ]
    lines += [
        f"  {group.label:<{width}}  {group.customers_before:>16,}  {group.customers_after:>8,}"
        f"  {group.entered:>8,}  {group.left:>8,}   {group.value_before:>14,.2f} -> {group.value_after:>14,.2f}"
        for group in groups
    ]
    return [*lines, f"  and {unchanged:,} unchanged"] if unchanged else lines
