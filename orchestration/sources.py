"""Sources: where the files lie that a dataset's script reads, and how plain tables are opened for it."""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration.errors import StrataError
from orchestration.quoting import identifier, literal

# Text stays text: what it means is the script's business.
READERS = {
    ".csv": "read_csv($files, all_varchar = true, header = true, union_by_name = true)",
    ".tsv": "read_csv($files, all_varchar = true, header = true, union_by_name = true)",
    ".txt": "read_csv($files, all_varchar = true, header = true, union_by_name = true)",
    ".parquet": "read_parquet($files, union_by_name = true)",
    ".json": "read_json($files, union_by_name = true)",
    ".jsonl": "read_json($files, union_by_name = true)",
    ".ndjson": "read_json($files, union_by_name = true)",
}


@dataclass(frozen=True)
class Source:
    """The absolute path, glob or URL that was given, the files there, and a fingerprint that changes when they do."""

    location: str
    files: tuple[str, ...]
    fingerprint: str


def locate_source(location: str) -> Source:
    """Find the files of `package:<distribution>:<path among its files>`, a path, a folder, a glob or a URL.

    The fingerprint is made of names, sizes and times of change (of a package: its version), so that a big source isn't
    read just to know it. Raises StrataError when nothing is there or it can't be read.
    """
    version = None
    if location.startswith("package:"):
        path, version = _package_path(location)
        location = str(path)
    elif "://" not in location:
        location = str(Path(location).expanduser().absolute())
    pattern = f"{location}/**" if "://" not in location and Path(location).is_dir() else location
    try:
        with duckdb.connect() as db:
            files = db.execute(
                "select filename, size, last_modified from read_blob($1) order by filename", [pattern]
            ).fetchall()
    except duckdb.Error as error:
        raise StrataError(f"SOURCE={location} can't be read: {error}") from error
    if not files:
        raise StrataError(f"SOURCE={location} holds no file.")
    changes = [
        f"{Path(name).name}\t{size}\t{version}" if version else f"{name}\t{size}\t{changed}"
        for name, size, changed in files
    ]
    return Source(location, tuple(name for name, _, _ in files), digest(*changes))


def match_columns(found: Sequence[str], synonyms: Sequence[tuple[str, str]]) -> list[tuple[str | None, str | None]]:
    """Recognise columns by their names, whatever the case and the separators.

    found: the source's columns. synonyms: (column, one of its names); of two names of one column the first wins, and a
    source column that two columns claim goes to the first. Returns every column once, with the source's column or None,
    then the source's columns that mean nothing here, with None in front.
    """
    by_name: dict[str, str] = {}
    for name in found:
        by_name.setdefault(_squeezed(name), name)
    matches: dict[str, str | None] = {}
    for column, synonym in synonyms:
        if matches.get(column) is None:
            matches[column] = by_name.pop(_squeezed(synonym), None)
    used = set(matches.values())
    return [*matches.items(), *((None, name) for name in found if name not in used)]


def open_table(db: duckdb.DuckDBPyConnection, source: Source, synonyms_path: Path) -> None:
    """Create `source_rows`, the source as one table, and `source_columns`, how its columns were recognised.

    source_rows has the columns of the synonyms' file, all text, null where the source has none or is blank, and
    `source_row`, the row's number. source_columns (column_name, source_column) is what match_columns returns.
    """
    with synonyms_path.open(encoding="utf-8", newline="") as file:
        synonyms = [(row["column"], row["also_called"]) for row in csv.DictReader(file)]
    read = _reader(source.files)
    files = {"files": list(source.files)}
    try:
        found = [row[0] for row in db.execute(f"describe select * from {read}", files).fetchall()]
        matches = match_columns(found, synonyms)
        columns = ", ".join(
            f"nullif(trim(cast({identifier(name) if name else 'null'} as varchar)), '') as {column}"
            for column, name in matches
            if column
        )
        db.execute(
            f"create table source_rows as select {columns}, row_number() over () as source_row from {read}", files
        )
    except duckdb.Error as error:
        raise StrataError(f"SOURCE={source.location} can't be read as a table: {error}") from error
    db.execute("create table source_columns (column_name varchar, source_column varchar)")
    db.executemany("insert into source_columns values ($1, $2)", [list(match) for match in matches])


def open_tables(db: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Create `source_rows` (table_name, row as JSON) from many tables: a file or folder each, or in a DuckDB file."""
    db.execute("create table source_rows (table_name varchar, row json)")
    insert = "insert into source_rows select $table, to_json(contents) from"
    try:
        if source.location.endswith((".duckdb", ".db")):
            db.execute(f"attach {literal(source.location)} as source (read_only)")
            tables = db.execute(
                "select schema_name, table_name from duckdb_tables() where database_name = 'source' order by all"
            ).fetchall()
            for schema, table in tables:
                name = f"source.{identifier(schema)}.{identifier(table)}"
                db.execute(f"{insert} {name} as contents", {"table": table.lower()})
            db.execute("detach source")
            return
        for table, files in _tables_of(source).items():
            db.execute(f"{insert} {_reader(files)} as contents", {"table": table, "files": files})
    except duckdb.Error as error:
        raise StrataError(f"SOURCE={source.location} can't be read: {error}") from error


def digest(*parts: str) -> str:
    """12 hexadecimal digits that stand for the parts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _tables_of(source: Source) -> dict[str, list[str]]:
    """Files by table: a table is `<table>.parquet` or all files below a folder `<table>/`."""
    tables: dict[str, list[str]] = {}
    for name in source.files:
        inside = name.removeprefix(source.location).lstrip("/") or Path(name).name
        table = inside.split("/")[0] if name.startswith(source.location) else Path(name).name
        tables.setdefault(table.split(".")[0].lower(), []).append(name)
    return tables


def _reader(files: Sequence[str]) -> str:
    """SQL that reads the files $files as one table, by their extension."""
    kinds = {Path(re.sub(r"\.(gz|zst)$", "", name)).suffix.lower() for name in files}
    if len(kinds) != 1 or not kinds <= READERS.keys():
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        raise StrataError(
            f"{files[0]}{more}: a table is files of one kind, of {', '.join(READERS)} (also .gz); "
            f"found {', '.join(sorted(kind or 'no extension' for kind in kinds))}."
        )
    return READERS[kinds.pop()]


def _package_path(location: str) -> tuple[Path, str]:
    _, package, inside = location.split(":", 2)
    try:
        distribution = importlib.metadata.distribution(package)
        path = Path(str(distribution.locate_file(inside)))
        if path.exists():
            return path, distribution.version
    except importlib.metadata.PackageNotFoundError:
        pass
    raise StrataError(
        f"{inside} of the Python package {package} is not installed: `make setup` installs it (dependency group "
        "`datasets`); or point SOURCE at a copy."
    )


def _squeezed(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
