"""`make propose-layers`: layers that explain what customers spent afterwards, as a seed file for a person to accept.

The order of layers decides what segments are worth, and it is seldom what one would guess. For each macro-segment the
attribute is taken that explains most of later spend on past month-ends, then the next one, until none is worth its
groups. Nothing is changed: choosing anew every month would re-draw everybody's segments.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from orchestration.errors import StrataError
from orchestration.layering import Candidate, Node, Sums, judge, kept_values, ranked
from orchestration.lock import writer_lock
from orchestration.settings import Settings

#: Later month-ends tell more; these many are enough to even out a month.
MONTH_ENDS = 4
#: Shorter windows of later spend say too little.
LEAST_WINDOW_DAYS = 59
SHOWN_TOGETHER = ("Other customers", "All customers")


@dataclass(frozen=True)
class Layer:
    """One layer that was considered, with all attributes in their order; the first one is taken if `is_taken`."""

    number: int
    candidates: Sequence[Candidate]
    is_taken: bool


@dataclass(frozen=True)
class Proposal:
    """Layers by macro-segment (`*`: for all others), and what they were chosen on."""

    month_ends: tuple[date, ...]
    minimums: Mapping[str, int]
    base_minimum: int
    layers: Mapping[str, Sequence[Layer]]
    """Macro-segment -> the layers that were considered; the last one may not be taken."""
    active: Mapping[str, float]
    """Macro-segment -> what the segments that are active now explain, on the same customers."""

    def attributes(self, macro_segment: str) -> list[str]:
        """The proposed layers, in their order."""
        return [layer.candidates[0].attribute for layer in self.layers[macro_segment] if layer.is_taken]

    def seed_rows(self) -> list[tuple[str, int, str, int]]:
        """The rows of micro_segment_layers.csv. A macro-segment whose layers are those of `*` needs none of its own."""
        rows = [("*", 0, "macro_segment", self.base_minimum)]
        for macro_segment in self.layers:
            if macro_segment == "*" or self.attributes(macro_segment) != self.attributes("*"):
                rows += [
                    (macro_segment, number, attribute, self.minimums[macro_segment])
                    for number, attribute in enumerate(self.attributes(macro_segment), start=1)
                ]
        return rows


def propose_layers(
    settings: Settings, *, most_layers: int = 4, penalty: float = 2.0, minimum: int | None = None
) -> Proposal:
    """Choose layers on the month-ends of a data set's warehouse.

    most_layers: at most so many per macro-segment. penalty: how many times the mean square within groups each group
    more must save (1 to 3). minimum: fewest customers of a micro-segment, instead of the active layers'. Raises
    StrataError where there is no warehouse or too little later spend to choose by.
    """
    if not settings.warehouse.exists():
        raise StrataError(f"{settings.warehouse} is not there: `make refresh DATASET={settings.dataset}` makes it.")
    with writer_lock(settings), duckdb.connect(str(settings.warehouse), read_only=True) as db:
        db.execute("set threads = 2")
        month_ends = choose_month_ends(
            db.execute(
                "select snapshot_date, window_days, is_complete from micro_segments.micro_spend_windows"
            ).fetchall()
        )
        attributes = candidate_attributes(db)
        read_customers(db, month_ends, attributes)
        minimums, base_minimum = read_minimums(db)
        sizes = db.execute(
            "select macro_segment, count(*) from customers where snapshot_date = ? group by all order by 2 desc, 1",
            [month_ends[-1]],
        ).fetchall()
        macro_segments = [name for name, _ in sizes if name not in SHOWN_TOGETHER]
        targets = {name: minimum or minimums.get(name, minimums["*"]) for name in ["*", *macro_segments]}
        layers = {name: grow(db, name, attributes, least, most_layers, penalty) for name, least in targets.items()}
        active = {name: explained_now(db, name) for name in targets}
    return Proposal(month_ends, targets, base_minimum, layers, active)


def choose_month_ends(windows: Sequence[tuple[date, int, bool]]) -> tuple[date, ...]:
    """The latest month-ends with six months of later spend; where there are none, those with the longest windows.

    windows: month-end, days of later spend, whether these are six months. Raises StrataError where all are too short.
    """
    complete = sorted(day for day, _, is_complete in windows if is_complete)
    long_enough = sorted(day for day, days, _ in windows if days >= LEAST_WINDOW_DAYS)
    if not long_enough:
        raise StrataError(
            "Layers are chosen by what customers spent later: it takes two full months after a month-end."
        )
    return tuple(complete[-MONTH_ENDS:] or long_enough[-MONTH_ENDS:])


def candidate_attributes(db: duckdb.DuckDBPyConnection) -> list[str]:
    """The catalogue's attributes that may be layers, by name: not the sensitive ones, nor what others are based on."""
    return [
        name
        for (name,) in db.execute(
            """
            select attribute from seeds.attributes
            semi join (describe micro_segments.micro_attributes) as found on attribute = found.column_name
            where not is_sensitive and attribute not like '%\\_basis' escape '\\'
            order by attribute
            """
        ).fetchall()
    ]


def read_customers(db: duckdb.DuckDBPyConnection, month_ends: Sequence[date], attributes: Sequence[str]) -> None:
    """Relation `customers`: those in segments on these month-ends, with their attributes and later spend."""
    columns = ", ".join(f"coalesce(attributes.{name}, 'unknown') as {name}" for name in attributes)
    db.execute(
        f"""
        create temp table customers as
        select
            snapshot_date, segments.macro_segment, segments.micro_segment_id,
            cast(spend.log_later_spend as double) as spend, {columns}
        from micro_segments.micro_later_spend as spend
        inner join micro_segments.micro_customer_snapshots as segments using (snapshot_date, customer_id)
        inner join micro_segments.micro_attributes as attributes using (snapshot_date, customer_id)
        where list_contains($month_ends, snapshot_date)
        """,
        {"month_ends": list(month_ends)},
    )


def read_minimums(db: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], int]:
    """The active layers' minimum sizes by macro-segment (`*` always), and the one of macro-segments."""
    rows = db.execute(
        "select macro_segment, layer, min_customers from seeds.micro_segment_layers order by all"
    ).fetchall()
    [base_minimum] = [minimum for name, layer, minimum in rows if (name, layer) == ("*", 0)]
    minimums = {"*": base_minimum}
    for name in {name for name, layer, _ in rows if layer > 0}:
        minimums[name] = max(minimum for other, layer, minimum in rows if other == name and layer > 0)
    return minimums, base_minimum


def grow(
    db: duckdb.DuckDBPyConnection,
    macro_segment: str,
    attributes: Sequence[str],
    minimum: int,
    most_layers: int,
    penalty: float,
) -> list[Layer]:
    """Layer after layer for one macro-segment (`*`: for all of them at once), as long as one is worth it."""
    where = "" if macro_segment == "*" else "where macro_segment = $macro_segment"
    told = {} if macro_segment == "*" else {"macro_segment": macro_segment}
    db.execute(f"create or replace temp table members as select *, macro_segment as node from customers {where}", told)
    layers: list[Layer] = []
    left = list(attributes)
    while left and len(layers) < most_layers:
        counts = read_counts(db, left)
        candidates = ranked(judge(name, counts[name], minimum, penalty) for name in left)
        layers.append(Layer(len(layers) + 1, candidates, is_taken=round(candidates[0].score, 6) > 0))
        if not layers[-1].is_taken:
            break
        taken = candidates[0].attribute
        left.remove(taken)
        divide(db, taken, counts[taken], minimum)
    return layers


def read_counts(db: duckdb.DuckDBPyConnection, attributes: Sequence[str]) -> dict[str, dict[Node, dict[str, Sums]]]:
    """Attribute -> node -> value -> sums, of relation `members`, in one pass over it."""
    sets = ", ".join(f"(snapshot_date, node, {name})" for name in attributes)
    names = " ".join(f"when {name} is not null then '{name}'" for name in attributes)
    found: dict[str, dict[Node, dict[str, Sums]]] = {name: {} for name in attributes}
    for name, snapshot, node, value, *sums in db.execute(
        f"""
        select case {names} end, snapshot_date, node, coalesce({", ".join(attributes)}), count(*), sum(spend),
            sum(spend * spend)
        from members group by grouping sets ({sets})
        """
    ).fetchall():
        found[name].setdefault((str(snapshot), node), {})[value] = Sums(*sums)
    return found


def divide(
    db: duckdb.DuckDBPyConnection, attribute: str, counts: Mapping[Node, Mapping[str, Sums]], minimum: int
) -> None:
    """Move the members down into the children of their nodes."""
    rows: list[tuple[Any, ...]] = []
    for (snapshot, node), values in counts.items():
        kept = kept_values({value: sums.customers for value, sums in values.items()}, minimum)
        if kept is not None:
            rows += [(snapshot, node, value, f"{node}/{value if value in kept else '~'}") for value in values]
    db.execute("create or replace temp table children (snapshot_date date, node varchar, value varchar, child varchar)")
    if rows:
        db.executemany("insert into children values (?, ?, ?, ?)", rows)
    db.execute(
        f"""
        create or replace temp table members as
        select members.* replace (coalesce(children.child, members.node) as node)
        from members
        left join children
            on members.snapshot_date = children.snapshot_date and members.node = children.node
                and members.{attribute} = children.value
        """
    )


def explained_now(db: duckdb.DuckDBPyConnection, macro_segment: str) -> float:
    """What the active micro-segments explain of the later spend of the same customers."""
    where = "" if macro_segment == "*" else "where macro_segment = $macro_segment"
    rows = db.execute(
        f"""
        select snapshot_date, micro_segment_id, count(*), sum(spend), sum(spend * spend)
        from customers {where} group by all
        """,
        {} if macro_segment == "*" else {"macro_segment": macro_segment},
    ).fetchall()
    counts: dict[Node, dict[str, Sums]] = {}
    for snapshot, segment, *sums in rows:
        counts.setdefault((str(snapshot), "all"), {})[segment] = Sums(*sums)
    return judge("active", counts, 1, 0.0).explained_variance


def write_proposal(settings: Settings, proposal: Proposal) -> tuple[Path, Path]:
    """Write the seed and the ranking behind it into proposals/<dataset>/, which nothing else reads."""
    folder = settings.proposals
    folder.mkdir(parents=True, exist_ok=True)
    seed, ranking = folder / "micro_segment_layers.csv", folder / "ranking.csv"
    with seed.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("macro_segment", "layer", "attribute", "min_customers"))
        writer.writerows(proposal.seed_rows())
    with ranking.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ("macro_segment", "layer", "rank", "attribute", "explained_variance", "segments", "score", "is_taken")
        )
        for name, layers in proposal.layers.items():
            for layer in layers:
                writer.writerows(
                    (
                        name, layer.number, rank, candidate.attribute, f"{candidate.explained_variance:.6f}",
                        f"{candidate.groups / len(proposal.month_ends):.1f}", f"{candidate.score:.3f}",
                        "true" if layer.is_taken and rank == 1 else "false",
                    )
                    for rank, candidate in enumerate(layer.candidates, start=1)
                )  # fmt: skip
    return seed, ranking


def lines_of(proposal: Proposal, seed: Path, ranking: Path) -> list[str]:
    """What is said of a proposal: per macro-segment the best attributes, what was taken, and what it explains."""
    days = ", ".join(str(day) for day in proposal.month_ends)
    lines = ["", f"Layers that explain what customers of {days} spent in the months after", ""]
    for name, layers in proposal.layers.items():
        title = "All macro-segments" if name == "*" else name
        lines.append(f"  {title}  (at least {proposal.minimums[name]} customers a segment)")
        for layer in layers:
            splitting = [one for one in layer.candidates if one.score][:5]
            best = ", ".join(f"{one.attribute} {one.explained_variance:.3f}" for one in splitting) or "nothing splits"
            lines.append(
                f"    layer {layer.number}: {best}" + ("" if layer.is_taken else "; none is worth its segments")
            )
        taken = [layer.candidates[0] for layer in layers if layer.is_taken]
        proposed = f"{taken[-1].explained_variance:.3f}" if taken else "nothing"
        groups = f" with {taken[-1].groups / len(proposal.month_ends):.0f} segments" if taken else ""
        layered = " / ".join(one.attribute for one in taken) or "no layers"
        lines.append(
            f"    proposed: {layered}; explains {proposed}{groups}; the active layers {proposal.active[name]:.3f}"
        )
        lines.append("")
    lines += [
        f"  Proposed  {seed}",
        f"  Ranking   {ranking}",
        "  Nothing has changed. To accept, copy the proposed file over seeds/rules/micro_segment_layers.csv, or into",
        "  your own folder of rules, and refresh: all snapshots are restated, and no money moves.",
        "",
    ]
    return lines
