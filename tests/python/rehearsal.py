"""Refreshes in a folder of their own, and what they left in the warehouse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from orchestration import datasets, raw_files
from orchestration.refresh import Refresh, refresh
from orchestration.settings import Settings

#: Customers of the demo that several test files look at, and the clock when it is published.
DEMO_SIZE, DEMO_NOW = 2_000, datetime(2026, 3, 3, 12)
LAYERS = ("staging", "intermediate", "macro_segments", "lifetime_value", "micro_segments", "marts", "quality")
#: What a run leaves of its own work: the steps to the scores and audiences of the snapshots that it built, no others.
STEPS_OF_A_RUN = {
    "lifetime_value.ltv_sufficient_statistics", "lifetime_value.ltv_spend_statistics", "lifetime_value.ltv_factor_keys",
    "lifetime_value.ltv_factors", "lifetime_value.ltv_nodes", "lifetime_value.ltv_scoring_fits",
    "lifetime_value.ltv_new_parameter_fits", "intermediate.int_behaviour_matches",
    "micro_segments.micro_condition_matches", "micro_segments.micro_audience_matches",
}  # fmt: skip
#: Columns that name the run itself.
RUN_COLUMNS = {"run_id", "is_built_now", "path"}


class Rehearsal:
    """One dataset below `home`, refreshed in this process with a clock that the test sets."""

    def __init__(self, home: Path, dataset: str, raw: Path | None = None) -> None:
        self.raw = raw or home / "raw" / dataset
        self.settings = Settings.of(dataset, str(self.raw), home)

    def refresh(self, now: datetime, as_of: date | None = None) -> Refresh:
        """Take in what lies in `raw`. `now` is UTC."""
        return refresh(self.settings, as_of=as_of, own_raw=True, now=now.replace(tzinfo=UTC), progress=False)

    def rebuilt(self, dataset: str, now: datetime, as_of: date | None = None, raw: Path | None = None) -> Rehearsal:
        """The same files and manifest in an empty warehouse. `raw`: the same rows in another order."""
        other = Rehearsal(self.settings.home, dataset, raw or self.raw)
        shutil.copytree(self.settings.manifest, other.settings.manifest)
        if raw:
            closed_through, files = raw_files.read_manifest(other.settings)
            found = {name: details for name, *details in raw_files.list_files(str(raw))}
            moved = [
                replace(file, size=size, modified=modified, fingerprint=raw_files.fingerprint(path, size, modified))
                for file in files
                for path, size, modified in [found[file.file]]
            ]
            raw_files.write_manifest(other.settings, closed_through, moved)
        other.refresh(now, as_of)
        return other

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the warehouse."""
        with duckdb.connect(str(self.settings.warehouse), read_only=True) as db:
            return db.execute(sql).fetchall()

    def manifest(self) -> dict[str, dict[str, Any]]:
        """The manifest's files by name."""
        lines = (self.settings.manifest / "files.jsonl").read_text().splitlines()
        return {row["file"]: row for row in map(json.loads, lines[1:])}


def published_demo(home: Path) -> Rehearsal:
    """The demo shop, published; under a name of its own, as other tests have demos of other sizes."""
    books = Rehearsal(home, "published_demo")
    source = Settings.of("demo", str(books.raw), home)
    datasets.prepare(source, source=None, size=DEMO_SIZE, until=None, now=DEMO_NOW.replace(tzinfo=UTC))
    books.refresh(DEMO_NOW)
    return books


def differences(left: Rehearsal, right: Rehearsal, layers: tuple[str, ...] = LAYERS, rows: int = 3) -> list[str]:
    """What tells two warehouses apart, table by table as multisets of rows; empty where nothing does."""
    found: list[str] = []
    with duckdb.connect() as db:
        db.execute(f"attach '{left.settings.warehouse}' as l (read_only)")
        db.execute(f"attach '{right.settings.warehouse}' as r (read_only)")
        tables = {side: _tables(db, side, layers) for side in ("l", "r")}
        for table in sorted(tables["l"].keys() | tables["r"].keys()):
            columns = [tables[side].get(table) for side in ("l", "r")]
            if columns[0] != columns[1]:
                found.append(f"{table}: columns {columns[0]} | {columns[1]}")
                continue
            is_step = table in STEPS_OF_A_RUN
            listed = ", ".join(
                _comparable(name, kind, is_step) for name, kind in columns[0].items() if name not in RUN_COLUMNS
            )
            for one, other, label in (("l", "r", "only left"), ("r", "l", "only right")):
                if is_step and one == "r":
                    continue
                extra = db.execute(
                    f"select {listed} from {one}.{table} except all select {listed} from {other}.{table}"
                ).fetchall()
                found += [
                    f"{table}: {len(extra)} rows {label}, e.g. {_named(columns[0], row)}"
                    for row in sorted(extra, key=str)[:rows]
                ]
    return found


def _tables(db: duckdb.DuckDBPyConnection, side: str, layers: tuple[str, ...]) -> dict[str, dict[str, str]]:
    columns = db.execute(
        "select c.schema_name || '.' || c.table_name, c.column_name, c.data_type from duckdb_columns() as c "
        "join duckdb_tables() as t using (database_name, schema_name, table_name) "
        "where database_name = ? and list_contains(?, schema_name) order by all",
        [side, list(layers)],
    ).fetchall()
    tables: dict[str, dict[str, str]] = {}
    for table, column, kind in columns:
        tables.setdefault(table, {})[column] = kind
    return tables


def _comparable(name: str, kind: str, is_step: bool) -> str:
    # Sums of doubles differ in their last digits with the order of rows: in steps, and nowhere else.
    return f'cast("{name}" as float) as "{name}"' if is_step and kind == "DOUBLE" else f'"{name}"'


def _named(columns: Mapping[str, str], row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip([name for name in columns if name not in RUN_COLUMNS], row, strict=True))
