"""The search that proves a forgetting: every place where Strata keeps anything, and what of a person is found there."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration.forgotten import NOTE
from orchestration.quoting import literal
from orchestration.raw_files import REFERENCE_TABLES, RawFile, raw_root, raw_text, reference_files
from orchestration.settings import Settings
from orchestration.traces import Traces

#: What can hold no text.
TEXTLESS = "^(BOOLEAN|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*|DATE|TIMESTAMP.*)$"
#: Columns that hold ids of people: there an id is looked for as a whole.
ID_COLUMNS = re.compile(r"(^|_)(customer|user|anonymous|previous|actor|device)_id$")


@dataclass(frozen=True)
class Place:
    """A file or table that was searched, the group in which it is counted, and how many of its texts have a trace."""

    kind: str
    group: str
    name: str
    hits: int


def search(settings: Settings, files: list[RawFile], traces: Traces) -> list[Place]:
    """Search raw files, manifest, proposals, warehouse and every publication."""
    places = [*_raw(settings, files, traces)]
    places += _texts("manifest", settings.manifest, traces) + _texts("proposals", settings.proposals, traces)
    if settings.warehouse.exists():
        places += _database("warehouse", settings.warehouse, traces)
    parts = [part for pattern in ("*", "runs/*/*") for part in settings.published.glob(pattern)]
    for path in sorted(part for part in parts if part.name != "runs" and not part.is_symlink()):
        if path.is_dir():
            places += _parquet(path, traces)
        elif path.suffix == ".duckdb":
            places += _database("publication", path, traces)
        else:
            group = _part(path)
            places.append(Place("publication", group, group, int(traces.is_in(path.read_text(errors="replace")))))
    return places


def _raw(settings: Settings, files: list[RawFile], traces: Traces) -> list[Place]:
    names = {file.path: file.file for file in files}
    hits = dict.fromkeys(names, 0)
    ids = " or ".join(traces.is_id(column) for column in ("user_id", "anonymous_id", "previous_id"))
    with closing(duckdb.connect()) as db:
        db.execute("set threads = 2")
        for query in raw_text(files):
            cursor = db.execute(
                f"select path, ({ids}), text from ({query}) where ({ids}) or {traces.may_be_in('text')}"
            )
            while rows := cursor.fetchmany(10_000):
                for path, is_id, text in rows:
                    hits[path] += bool(is_id or traces.is_in(text))
        places = [Place("raw", "messages", names[path], found) for path, found in hits.items()]
        for name in REFERENCE_TABLES:
            for path in reference_files(settings.raw, name):
                table = f"(select concat_ws(chr(10), *columns(*)) as text from {literal(path)})"
                rows = db.execute(f"select text from {table} where {traces.may_be_in('text')}").fetchall()
                places.append(Place("raw", "beside them", Path(path).name, sum(traces.is_in(text) for (text,) in rows)))
    imports = Path(raw_root(settings.raw)) / "imports.jsonl"
    if imports.is_file():
        places.append(Place("raw", "beside them", imports.name, int(traces.is_in(imports.read_text()))))
    return places


def _texts(kind: str, folder: Path, traces: Traces) -> list[Place]:
    """Every file of a folder but the note of the forgetting itself, which goes at its end."""
    return [
        Place(kind, "files", path.name, int(traces.is_in(path.read_text(errors="replace"))))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != NOTE
    ]


def _database(kind: str, path: Path, traces: Traces) -> list[Place]:
    """Every table of a DuckDB file: columns of ids as wholes, all columns as texts, whatever their type."""
    with closing(duckdb.connect()) as db:
        db.execute(f"set threads = 2; attach {literal(path)} as searched (read_only)")
        columns: dict[tuple[str, str], list[str]] = {}
        for schema, table, column in db.execute(
            """
            select c.schema_name, c.table_name, c.column_name
            from duckdb_columns() as c
            semi join duckdb_tables() as t
                on c.database_name = t.database_name and c.schema_name = t.schema_name and c.table_name = t.table_name
            where c.database_name = 'searched'
                and not regexp_matches(c.data_type, $textless)
            order by c.schema_name, c.table_name, c.column_index
            """,
            {"textless": TEXTLESS},
        ).fetchall():
            columns.setdefault((schema, table), []).append(column)
        return [
            Place(
                kind,
                schema if kind == "warehouse" else _part(path),
                f"{schema}.{table}",
                _hits(db, f'searched."{schema}"."{table}"', names, traces),
            )
            for (schema, table), names in columns.items()
        ]


def _parquet(folder: Path, traces: Traces) -> list[Place]:
    """Every Parquet file of a publication, as a table of a database is searched."""
    places = []
    with closing(duckdb.connect()) as db:
        db.execute("set threads = 2")
        for path in sorted(folder.rglob("*.parquet")):
            table = f"read_parquet({literal(path)})"
            columns = [
                name for name, kind, *_ in db.execute(f"describe from {table}").fetchall()
                if not re.match(TEXTLESS, kind)
            ]  # fmt: skip
            if columns:
                name = f"{path.parent.name}.{path.stem}"
                places.append(Place("publication", _part(folder), name, _hits(db, table, columns, traces)))
    return places


def _part(path: Path) -> str:
    """A part of a publication by its run and name."""
    return path.name if path.parent.parent.name != "runs" else f"{path.parent.name}/{path.name}"


def _hits(db: duckdb.DuckDBPyConnection, table: str, columns: list[str], traces: Traces) -> int:
    """Values with a trace. One scan says in which columns there may be any; only those are looked at closely."""
    quoted = {column: f'cast("{column}" as varchar)' for column in columns}
    whole = {column: traces.is_id(quoted[column]) if ID_COLUMNS.search(column) else "false" for column in columns}
    conditions = {column: f"{whole[column]} or {traces.may_be_in(quoted[column])}" for column in columns}
    counted = ", ".join(f"count_if({condition})" for condition in conditions.values())
    [counts] = db.execute(f"select {counted} from {table}").fetchall()
    hits = 0
    for column, count in zip(columns, counts, strict=True):
        if count:
            cursor = db.execute(f"select {whole[column]}, {quoted[column]} from {table} where {conditions[column]}")
            while rows := cursor.fetchmany(10_000):
                hits += sum(bool(is_id or traces.is_in(value)) for is_id, value in rows)
    return hits
