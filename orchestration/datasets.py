"""Datasets: `datasets/<name>.sql` turns somebody's files into raw messages under `raw/<name>/`.

The script does the thinking, in SQL. This file only runs it in a DuckDB of its own and writes what it left behind:
relation `events` (the contract's columns) and, where they exist, the reference relations. An import is there as a whole
or not at all, and running it again writes nothing that raw already has.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import duckdb

from orchestration.dbt import business_variables
from orchestration.erase import keep_out
from orchestration.errors import StrataError
from orchestration.quoting import identifier
from orchestration.raw_files import read_manifest
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.sources import Source, digest, locate_source, open_table, open_tables

DATASETS_DIR = PROJECT_DIR / "datasets"

EVENT_COLUMNS = (
    "message_id", "type", "event", "anonymous_id", "user_id", "previous_id", "group_id",
    "timestamp", "received_at", "properties", "traits", "context",
)  # fmt: skip
JSON_COLUMNS = {"properties", "traits", "context"}
TIME_COLUMNS = {"timestamp", "received_at"}

# A script may leave out any column but the first; what it adds beside these is kept.
REFERENCE_TABLES = {
    "products": {
        "product_id": "varchar", "product_name": "varchar", "category": "varchar", "brand": "varchar",
        "unit_cost": "decimal(18, 4)",
    },
    "campaigns": {
        "campaign_id": "varchar", "campaign_name": "varchar", "channel": "varchar", "started_on": "date",
        "ended_on": "date", "cost": "decimal(18, 2)", "currency": "varchar",
    },
    "places": {
        "country": "varchar", "region": "varchar", "city": "varchar", "postal_code": "varchar", "urbanicity": "varchar",
        "climate_zone": "varchar", "terrain": "varchar", "population": "bigint",
    },
    "stores": {
        "store_id": "varchar", "name": "varchar", "country": "varchar", "region": "varchar", "city": "varchar",
        "postal_code": "varchar", "format": "varchar",
    },
    "exchange_rates": {"currency": "varchar", "rate_date": "date", "rate_to_reporting": "decimal(18, 8)"},
}  # fmt: skip

HEADER_LINE = re.compile(r"--\s*strata\.(\w+):\s*(.*?)\s*$")
CHUNK_MESSAGES = 500_000
CHUNK_DAYS = 60  # DuckDB keeps at most 100 files open in one partitioned write


@dataclass(frozen=True)
class DatasetHeader:
    """What a dataset's script says of itself in its first comment lines, `-- strata.<key>: <value>`."""

    name: str
    path: Path
    description: str
    source: str
    """The default source: `package:<distribution>:<path among its files>`, a path, a glob or a URL; empty = none."""
    needs_source: bool
    size: int | None
    """The default of SIZE, for scripts that make their data; None = SIZE means nothing here."""
    columns: str
    """A file of synonyms in datasets/: the source is one plain table, and the script reads it as `source_rows` with the
    columns of that file, all text. Empty = the script opens its source itself."""
    tables: bool
    """The source is many tables, and the script reads them as `source_rows` (table_name, row as JSON)."""
    rules: str
    """A folder of rules that stand in for the package's, below the project's; empty = the package's."""
    variables: dict[str, str]
    """Variables of dbt_project.yml that hold for this dataset (business_timezone, reporting_currency, ...)."""


@dataclass(frozen=True)
class Prepared:
    """What `prepare` did. `messages` and `files` count what was written this time."""

    status: Literal["imported", "unchanged", "nothing to import"]
    import_id: str | None = None
    messages: int = 0
    files: int = 0
    columns: tuple[tuple[str | None, str | None], ...] = ()
    """For a plain table: (column as Strata names it, column of the source); None where one side has no counterpart."""
    notes: tuple[str, ...] = ()
    """What the script says of its reading of the source (its relation `notes`)."""
    kept_out: Mapping[str, int] = field(default_factory=dict)
    """What became of messages of people who were forgotten, with how many."""


def describe(name: str) -> DatasetHeader:
    """The header of `datasets/<name>.sql`. Raises StrataError when there is no such script or it has an unknown key."""
    path = DATASETS_DIR / f"{name}.sql"
    if not path.is_file():
        names = ", ".join(sorted(script.stem for script in DATASETS_DIR.glob("*.sql")))
        raise StrataError(
            f"There is no dataset {name!r}: no datasets/{name}.sql. There are: {names}. For your own data put "
            f"messages into raw/{name}/events/, or point RAW at them, or write datasets/{name}.sql (README, Bring your "
            "own data)."
        )
    keys: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("--"):
            break
        if match := HEADER_LINE.match(line):
            keys[match[1]] = match[2]

    variables = {key: keys.pop(key) for key in list(keys) if key in business_variables({})}
    size = keys.pop("size", "")
    if size and not size.isdigit():
        raise StrataError(f"datasets/{name}.sql: strata.size is {size!r}; it must be a whole number.")
    header = DatasetHeader(
        name=name,
        path=path,
        description=keys.pop("description", ""),
        source=keys.pop("source", ""),
        needs_source=_flag(name, keys, "needs_source"),
        size=int(size) if size else None,
        columns=keys.pop("columns", ""),
        tables=_flag(name, keys, "tables"),
        rules=keys.pop("rules", ""),
        variables=variables,
    )
    if keys:
        raise StrataError(
            f"datasets/{name}.sql: unknown header strata.{next(iter(keys))}. Known: description, source, "
            f"needs_source, size, columns, tables, rules, {', '.join(business_variables({}))}."
        )
    return header


def _flag(name: str, keys: dict[str, str], key: str) -> bool:
    value = keys.pop(key, "false")
    if value not in {"true", "false"}:
        raise StrataError(f"datasets/{name}.sql: strata.{key} is {value!r}; it must be true or false.")
    return value == "true"


def configuration_of(name: str) -> tuple[dict[str, str], str]:
    """The variables for dbt and the folder of rules that a dataset's script sets; none where there is no script."""
    if not (DATASETS_DIR / f"{name}.sql").is_file():
        return {}, ""
    header = describe(name)
    return header.variables, header.rules


def prepare(settings: Settings, *, source: str | None, size: int | None, until: date | None, now: datetime) -> Prepared:
    """Bring `raw/<dataset>/` up to date with the dataset's script and source. The caller holds the dataset's lock.

    source: overrides the script's default source. size: overrides its default size. until: leave out messages whose
    received date is later. now: when the messages of a later import were received, where the source doesn't say.
    Raises StrataError for whatever the user can put right; raw is then as it was.
    """
    raw = Path(settings.raw)
    events = raw / "events"
    # Without a script, messages are simply there; those that are gone are named by who looks for them.
    is_there = any(path.is_file() for path in events.rglob("*")) or bool(read_manifest(settings)[1])
    if is_there and not (DATASETS_DIR / f"{settings.dataset}.sql").is_file():
        return Prepared("nothing to import")
    header = describe(settings.dataset)
    if size is None and (earlier := _records(raw)):
        size = earlier[-1]["size"]
    size = _size_of(header, size)
    found = _source_of(header, source)
    fingerprint = found.fingerprint if found else ""
    script = digest(header.path.read_text(encoding="utf-8"), _columns_text(header))
    import_id = digest(script, fingerprint, str(size), str(until))

    _undo_killed_import(raw)
    records = _records(raw)
    recorded = {record["import_id"] for record in records}
    imported = sorted(str(path) for path in events.glob("*/*.parquet") if path.name.split("-")[0] in recorded)
    records = records if imported else []
    if any(record["import_id"] == import_id for record in records):
        return Prepared("unchanged", import_id)
    for record in records:
        if record["size"] != size:
            raise StrataError(
                f"raw/{header.name} was made with SIZE={record['size']}, not {size}: "
                f"first `make clean DATASET={header.name}`."
            )
    # Blank received_at means "when it happened". That is right for a source that is loaded for the first time; what a
    # newer export adds to it was received when it came, or it would be posted into books that are closed.
    is_history = not records or any(record["source_fingerprint"] == fingerprint for record in records)

    # If only `until` moves on, what is new is what was received since.
    same = [
        r["until"] for r in records if (r["script"], r["source_fingerprint"]) == (script, fingerprint) and r["until"]
    ]
    after = date.fromisoformat(max(same)) if same else None

    work = settings.home / ".duckdb_tmp" / settings.dataset
    with run_script(header, found, size=size, until=until, imported=imported, work=work) as db:
        _build_messages(db, has_imported=bool(imported), after=after, received_at=None if is_history else now)
        days = db.execute(
            "select received_day, count(*) from messages group by received_day order by received_day nulls last"
        ).fetchall()
        if not days and not records:
            raise StrataError(f"datasets/{header.name}.sql made no messages up to {until}: take a later day.")
        columns = db.execute("from source_columns").fetchall() if header.columns else []
        notes = db.execute("select note from notes").fetchall() if _column_types(db, "notes") else []
        staged = raw / ".import"
        try:
            _write_events(db, days, staged / "events", import_id)
            kept_out = keep_out(settings, staged / "events")
            files = sum(1 for _ in (staged / "events").rglob("*.parquet"))
            _move_into_place(staged, raw, import_id, _write_references(db, header, staged))
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    messages = sum(count for _, count in days) - kept_out["removed"]
    record = {
        "import_id": import_id,
        "source": found.location if found else None,
        "source_fingerprint": fingerprint,
        "script": script,
        "size": size,
        "until": str(until) if until else None,
        "messages": messages,
        "files": files,
        "imported_at": now.isoformat(timespec="seconds"),
    }
    with (raw / "imports.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    (raw / ".importing").unlink()
    return Prepared(
        "imported", import_id, messages, files, tuple(columns), tuple(note for (note,) in notes), dict(kept_out)
    )


@contextmanager
def run_script(
    header: DatasetHeader,
    source: Source | None,
    *,
    size: int | None,
    until: date | None,
    imported: Sequence[str],
    work: Path,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Run the dataset's script in a DuckDB file of its own in folder `work`, which is emptied before and removed after.

    The script reads `getvariable('source' | 'size' | 'until' | 'business_timezone' | 'reporting_currency')`, the
    messages of earlier imports (`imported`: their files) as relation `imported`, and what DatasetHeader.columns and
    .tables promise. Yields the connection, with relation `events` checked for its columns. Raises StrataError for
    errors in the script or its data.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        with duckdb.connect(str(work / "import.duckdb")) as db:
            db.execute("set timezone = 'UTC'")
            db.execute("set threads = 2")
            db.execute("set memory_limit = $1", [os.environ.get("STRATA_MEMORY_LIMIT", "8GB")])
            db.execute("set temp_directory = $1", [str(work / "spill")])
            business = {**business_variables({}), **header.variables}
            for name, value in {
                "source": source.location if source else None,
                "size": size,
                "until": until,
                "business_timezone": business["business_timezone"],
                "reporting_currency": business["reporting_currency"],
                "imported": list(imported),
            }.items():
                db.execute(f"set variable {name} = $1", [value])
            db.execute(
                """
                create view imported as
                select message_id, type, event, user_id, timestamp, received_at, properties
                from read_parquet(getvariable('imported'), union_by_name = true, hive_partitioning = false)
                """
                if imported
                else """
                create table imported (
                    message_id varchar, type varchar, event varchar, user_id varchar, timestamp timestamp,
                    received_at timestamp, properties varchar
                )
                """
            )
            if source and header.columns:
                open_table(db, source, DATASETS_DIR / header.columns)
            if source and header.tables:
                open_tables(db, source)
            db.execute(header.path.read_text(encoding="utf-8"))
            _check_events(db, header)
            yield db
    except duckdb.Error as error:
        raise StrataError(f"datasets/{header.name}.sql: {_plain(error)}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _check_events(db: duckdb.DuckDBPyConnection, header: DatasetHeader) -> None:
    columns = _column_types(db, "events")
    if not columns:
        raise StrataError(f"datasets/{header.name}.sql leaves no relation `events` with the contract's columns.")
    if missing := [column for column in EVENT_COLUMNS if column not in columns]:
        raise StrataError(
            f"datasets/{header.name}.sql: events lacks {', '.join(missing)}. Select every column of the contract, "
            "`cast(null as varchar) as <column>` where the source has nothing."
        )
    if not db.execute("select 1 from events limit 1").fetchall():
        raise StrataError(
            f"datasets/{header.name}.sql made no messages: events is empty. Check that the source has rows."
        )


def _build_messages(
    db: duckdb.DuckDBPyConnection, *, has_imported: bool, after: date | None, received_at: datetime | None
) -> None:
    """Relation `messages`: the contract's columns in the types raw files have, and `received_day` (null = unknown).

    Only messages up to variable `until` that aren't in `imported`: those received after day `after`, if it is known
    that all earlier ones are there, otherwise those with a new message_id. Blank received_at becomes `received_at`, if
    given.
    """
    types = _column_types(db, "events")
    has_day = types.get("received_date") == "DATE"
    day = "received_date" if has_day else f"coalesce({_as_date('received_at', types)}, {_as_date('timestamp', types)})"
    if not has_day:
        day = f"case when {day} between date '1990-01-01' and date '2199-12-31' then {day} end"
    is_wanted = ["(getvariable('until') is null or received_day is null or received_day <= getvariable('until'))"]
    if after:
        is_wanted.append(f"received_day > date '{after}'")
    elif has_imported:
        db.execute("create table known_messages as select distinct message_id from imported")
        is_wanted.append("not exists (from known_messages where known_messages.message_id = typed.message_id)")
    db.execute("set variable received_at = $1", [_utc(received_at) if received_at else None])
    # Events that bring their received_date are read a chunk of days at a time; anything else is computed once.
    is_read_by_day = has_day and received_at is None and (after or not has_imported)
    columns = ", ".join(f"{_as_raw(column, types)} as {column}" for column in EVENT_COLUMNS)
    db.execute(
        f"""
        create {"view" if is_read_by_day else "table"} messages as
        with typed as (select {columns}, {day} as received_day from events)
        from typed where {" and ".join(is_wanted)}
        """
    )


def _as_raw(column: str, types: dict[str, str]) -> str:
    """SQL for one column of `events` in the type it has in raw files."""
    kind = types[column]
    if column in JSON_COLUMNS and kind.startswith(("STRUCT", "MAP")):
        return f"case when events.{column} is not null then cast(to_json(events.{column}) as varchar) end"
    if column not in TIME_COLUMNS:
        return f"cast(events.{column} as varchar)"
    cast = f"cast(events.{column} as {_time_type(kind)})"
    if column == "received_at":
        blank = f"nullif(trim({cast}), '')" if _time_type(kind) == "varchar" else cast
        return f"coalesce({blank}, cast(getvariable('received_at') as {_time_type(kind)}))"
    return cast


def _time_type(kind: str) -> str:
    return "timestamp" if kind.startswith(("TIMESTAMP", "DATE")) else "varchar"


def _as_date(column: str, types: dict[str, str]) -> str:
    raw = _as_raw(column, types)
    moment = "timestamptz" if _time_type(types[column]) == "varchar" else "timestamp"
    return f"cast(try_cast({raw} as {moment}) as date)"


def _write_events(
    db: duckdb.DuckDBPyConnection, days: Sequence[tuple[date | None, int]], folder: Path, import_id: str
) -> None:
    """A Parquet file per received day, sorted: the same messages give the same bytes. days: (day, its messages)."""

    def write(chunk: tuple[date | None, date | None]) -> None:
        first, last = chunk
        is_in_chunk = f"received_day between date '{first}' and date '{last}'" if first else "received_day is null"
        db.cursor().execute(
            f"""
            copy (
                select
                    {", ".join(EVENT_COLUMNS)},
                    coalesce(cast(received_day as varchar), 'unknown') as received_date,
                from messages
                where {is_in_chunk}
                order by received_day, timestamp, message_id, properties, traits, context
            ) to $1 (
                format parquet, compression zstd, partition_by (received_date), filename_pattern '{import_id}-{{i}}',
                overwrite_or_ignore
            )
            """,
            [str(folder)],
        )

    folder.mkdir(parents=True)
    db.execute("set threads = 1")  # per chunk; with more, a day's rows would spread over files at random
    with ThreadPoolExecutor(max_workers=2) as pool:
        for _ in pool.map(write, _chunks(days)):
            pass


def _chunks(days: Sequence[tuple[date | None, int]]) -> Iterator[tuple[date | None, date | None]]:
    """First and last day of runs of sorted days that are small enough to sort in memory; the unknown day alone."""
    first: date | None = None
    held = taken = 0
    last: date | None = None
    for day, messages in days:
        if first and (day is None or held + messages > CHUNK_MESSAGES or taken == CHUNK_DAYS):
            yield first, last
            first, held, taken = None, 0, 0
        if day is None:
            yield None, None
            continue
        first, last = first or day, day
        held, taken = held + messages, taken + 1
    if first:
        yield first, last


def _write_references(db: duckdb.DuckDBPyConnection, header: DatasetHeader, folder: Path) -> list[str]:
    """Write the reference relations that the script left, with all columns of the contract; their file names."""
    written = []
    for table, wanted in REFERENCE_TABLES.items():
        types = _column_types(db, table)
        if not types or not db.execute(f"select 1 from {table} limit 1").fetchall():
            continue
        key = next(iter(wanted))
        if key not in types:
            raise StrataError(f"datasets/{header.name}.sql: {table} lacks {key}.")
        columns = [
            f"cast({column if column in types else 'null'} as {kind}) as {column}" for column, kind in wanted.items()
        ] + [identifier(column) for column in types if column not in wanted]
        folder.mkdir(parents=True, exist_ok=True)
        contents = f"select {', '.join(columns)} from {table} order by all"
        try:
            db.execute(f"copy ({contents}) to $1 (format parquet, compression zstd)", [f"{folder}/{table}.parquet"])
        except duckdb.ConversionException as error:
            raise StrataError(f"datasets/{header.name}.sql: {table}: {_plain(error)}") from error
        written.append(f"{table}.parquet")
    return written


def _move_into_place(staged: Path, raw: Path, import_id: str, references: Sequence[str]) -> None:
    """Rename the staged files into raw. By the note `.importing` the next import undoes a killed one."""
    (raw / ".importing").write_text(import_id, encoding="utf-8")
    for path in sorted((staged / "events").rglob("*.parquet")):
        target = raw / path.relative_to(staged)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
    for name in references:
        os.replace(staged / name, raw / name)


def _undo_killed_import(raw: Path) -> None:
    """Remove what an import that was killed while moving its files has left in events/; it was never recorded."""
    note = raw / ".importing"
    if note.is_file():
        import_id = note.read_text(encoding="utf-8")
        if import_id and all(record["import_id"] != import_id for record in _records(raw)):
            for path in (raw / "events").glob(f"*/{import_id}-*.parquet"):
                path.unlink()
        note.unlink()
    shutil.rmtree(raw / ".import", ignore_errors=True)


def _records(raw: Path) -> list[dict]:
    path = raw / "imports.jsonl"
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]  # what has no line end was never finished


def _source_of(header: DatasetHeader, source: str | None) -> Source | None:
    if source and not header.source and not header.needs_source:
        raise StrataError(f"DATASET={header.name} makes its own data and takes no SOURCE: leave SOURCE={source} out.")
    if not (source or header.source) and header.needs_source:
        raise StrataError(
            f"DATASET={header.name} needs SOURCE: `make refresh DATASET={header.name} SOURCE=path/to/your/files`. "
            f"{header.description}."
        )
    location = source or header.source
    return locate_source(location) if location else None


def _size_of(header: DatasetHeader, size: int | None) -> int | None:
    if size is None:
        return header.size
    if header.size is None:
        raise StrataError(f"DATASET={header.name} is as big as its source: leave SIZE={size} out.")
    if size < 1:
        raise StrataError(f"SIZE={size}: it must be at least 1.")
    return size


def _columns_text(header: DatasetHeader) -> str:
    return (DATASETS_DIR / header.columns).read_text(encoding="utf-8") if header.columns else ""


def _column_types(db: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    rows = db.execute(
        "select column_name, data_type from information_schema.columns where table_name = $1 order by ordinal_position",
        [relation],
    ).fetchall()
    return dict(rows)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _plain(error: duckdb.Error) -> str:
    return str(error).removeprefix("Invalid Input Error: ")
