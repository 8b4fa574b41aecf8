"""Copy the marts into a file of their own and swap it in, so that readers never wait and never see half a refresh."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from orchestration.errors import StrataError
from orchestration.quoting import identifier, literal
from orchestration.settings import PROJECT_DIR, Settings

PUBLIC_SCHEMAS = ("marts", "quality")
STORAGE_VERSION = "v1.2.0"  # the DuckDB 1.x that BI tools bundle can't read the format of 2.0
LINK = "strata.duckdb"
ATLAS = "atlas.html"
PARQUET = "parquet"
#: The parts of a publication: what is in its folder, and a link of the same name beside `runs/` that readers open. The
#: DuckDB file's link moves last, and says which run is published: an interrupted swap can be done again.
PARTS = (PARQUET, ATLAS, LINK)

# What would tell who somebody is: whole names, and endings after an underscore (`billing_email`). Traits that only
# describe (country, device_type, age_band) are not here; a model tags any other column with `meta: {pii: true}`.
PII_NAMES = frozenset(
    """
    email phone mobile fax name first_name last_name middle_name full_name given_name family_name surname username
    user_name nickname address street house_number birthday birth_date birthdate date_of_birth
    user_id anonymous_id previous_id device device_id advertising_id cookie cookie_id ip ip_address user_agent
    latitude longitude national_id passport_number tax_id iban card_number avatar
    properties traits context raw_message
    """.split()  # noqa: SIM905
)
PII_ENDINGS = (
    *("_email", "_email_address", "_phone", "_phone_number", "_first_name", "_last_name", "_full_name", "_street"),
    *("_birthday", "_birth_date", "_user_id", "_anonymous_id", "_device_id", "_ip", "_ip_address", "_user_agent"),
)

# What tells who somebody is wherever it stands: a value that is an e-mail address or, with a + or a bracket first, a
# telephone number. (A text that only mentions one, such as the name of a product, is not.)
PII_VALUES = r"""[^@\s]+@[^@\s]+\.[^@\s.]{2,}|(\+|\(\+?)[0-9][0-9 ()./-]{5,}[0-9]"""

PLAIN_TYPES = frozenset(
    """
    BOOLEAN TINYINT SMALLINT INTEGER BIGINT UTINYINT USMALLINT UINTEGER UBIGINT FLOAT DOUBLE VARCHAR DATE TIMESTAMP
    """.split()  # noqa: SIM905
) | {"TIMESTAMP WITH TIME ZONE"}


@dataclass(frozen=True)
class Publication:
    """A finished publication: its file, the rows per mart (`marts.customers`: 10000), and how long it took."""

    path: Path
    row_counts: dict[str, int]
    seconds: float


@dataclass(frozen=True)
class _Mart:
    schema: str
    name: str
    description: str
    columns: dict[str, str]  # name -> description, in the order of the model's yml
    publication_order: tuple[str, ...]
    key: tuple[str, ...]  # as its tests say; without a test, ()
    references: dict[str, str]  # column -> the mart whose key it holds, where a test says so: `marts.customers`
    private_columns: tuple[str, ...]
    public_columns: tuple[str, ...]  # tagged `pii: false`: somebody has looked at what they hold

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def relation(self) -> str:
        return f"{identifier(self.schema)}.{identifier(self.name)}"


def publish(
    settings: Settings,
    *,
    manifest: Mapping[str, Any],
    run_id: str,
    facts: Mapping[str, object] | None = None,
    keep: int = 3,
) -> Publication:
    """Write `strata.duckdb` and `parquet/` into `published/<dataset>/runs/<run_id>/`, and point the links at them.

    The caller holds `writer_lock` and has closed its own connections to the warehouse (dbt keeps one open after a run
    in this process: `DuckDBConnectionManager.close_all_connections()`). `manifest` is dbt's
    `target/manifest.json`: every model of the schemas marts and quality is published, with its columns in the order of
    its yml, its descriptions as comments, sorted by the model's `meta: {publication_order: [...]}`. `facts` (as_of,
    rules_version, checks_passed, ...: text, numbers, dates, or lists and mappings of them) become columns of the
    one-row table `main._publication`, beside what is known here: run_id, row counts, keys, versions, commit, time.
    The Parquet files are written from the finished DuckDB file: the same rows in the same order.

    All is complete, counted and on disk before the links move; the newest `keep` publications stay, and always the one
    that is published. On any failure the last publication stays as it was.

    Raises StrataError, naming model and column, for: personal data (by tag, by name or by what it holds), a missing
    description, a type that BI clients can't read, a mart that is not in the warehouse or whose columns differ from its
    yml.
    """
    started = time.monotonic()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", run_id):
        raise ValueError(f"run_id {run_id!r} can't be part of a file name")
    marts = _marts(manifest)
    run = run_folder(settings, run_id)
    temporary = run.with_name(f".{run_id}.tmp")
    _remove_leftovers(settings)
    if run.exists():
        raise StrataError(f"run {run_id} is already published in {run}; start a new run to publish again.")

    with closing(duckdb.connect()) as connection:
        _attach_warehouse(connection, settings)
        columns = _warehouse_columns(connection)
        _refuse([fault for mart in marts for fault in _faults(mart, columns.get(mart.label), _private_names(manifest))])
        _refuse([fault for mart in marts for fault in _private_values(connection, mart, columns[mart.label])])
        temporary.mkdir(parents=True)
        try:
            row_counts = _copy(connection, marts, temporary / LINK)
            _write_facts(connection, _all_facts(settings, manifest, marts, run_id, row_counts, facts or {}))
            connection.execute("detach publication")
            connection.execute(f"attach {literal(temporary / LINK)} as written (read_only)")
            _write_parquet(connection, marts, temporary / PARQUET)
            _verify(connection, marts, temporary / PARQUET, row_counts)
        except BaseException:
            connection.close()
            _remove_leftovers(settings)
            raise

    _seal(temporary)
    temporary.replace(run)
    sync(run.parent)
    _point_all(settings, run_id)
    remove_old(settings, keep)
    return Publication(path=run / LINK, row_counts=row_counts, seconds=time.monotonic() - started)


def differences(settings: Settings) -> list[str]:
    """Tables whose rows differ between the publication and the warehouse it was made from; empty where none does.

    Rows are compared as multisets, by sums over hashes of 64 bits. Raises StrataError where there is no publication.
    """
    path = Path(os.path.realpath(settings.published / LINK))
    if not path.is_file():
        raise StrataError(f"Nothing is published for {settings.dataset!r}.")
    with closing(duckdb.connect()) as connection:
        _attach_warehouse(connection, settings)
        connection.execute(f"attach {literal(path)} as publication (read_only)")
        tables = connection.execute(
            "select schema_name, table_name, list(column_name) from duckdb_columns() "
            "where database_name = 'publication' and list_contains($schemas, schema_name) group by all order by all",
            {"schemas": list(PUBLIC_SCHEMAS)},
        ).fetchall()
        different = []
        for schema, table, columns in tables:
            name, listed = f"{identifier(schema)}.{identifier(table)}", ", ".join(map(identifier, columns))
            sums = [
                connection.execute(f"select count(*), sum(hash({listed})) from {database}.{name}").fetchall()
                for database in ("publication", "warehouse")
            ]
            if sums[0] != sums[1]:
                different.append(f"{schema}.{table}")
    return different


def add_atlas(settings: Settings, write: Callable[[Path, Path], object]) -> Path:
    """Have `write(publication, target)` make the current publication's atlas, and point `atlas.html` at it.

    `write` reads the DuckDB file and leaves one HTML file at target; the atlas is kept, rolled back and removed with
    its publication. The caller holds `writer_lock`. Raises StrataError when nothing is published.
    """
    run_id = current_run(settings)
    if run_id is None:
        raise StrataError(f"nothing is published: run `make refresh DATASET={settings.dataset}` first.")
    path = run_folder(settings, run_id) / ATLAS
    write(path.with_name(LINK), path)
    _seal(path)
    sync(path.parent)
    _point(settings, ATLAS, run_id)
    return path


def has_atlas(settings: Settings) -> bool:
    """Is the atlas that of the current publication?"""
    run_id = current_run(settings)
    is_linked = run_id is not None and _run_of(settings, ATLAS) == run_id
    return is_linked and (settings.published / ATLAS).stat().st_size > 0


def is_whole(settings: Settings, run_id: str) -> bool:
    """Do the links lead to this run, to a DuckDB file that can be read and all Parquet files? The atlas comes later."""
    facts = facts_of(run_folder(settings, run_id) / LINK)
    if facts is None or {_run_of(settings, LINK), _run_of(settings, PARQUET)} != {run_id}:
        return False
    files = (f"{mart.replace('.', '/')}.parquet" for mart in facts["row_counts"])
    return all((settings.published / PARQUET / file).is_file() for file in files)


def discard(settings: Settings, run_id: str) -> None:
    """Remove a kept run's publication. The caller holds `writer_lock`."""
    (run_folder(settings, run_id) / LINK).unlink(missing_ok=True)
    _remove_leftovers(settings)


def run_folder(settings: Settings, run_id: str) -> Path:
    """The folder of a run's publication."""
    return settings.published / "runs" / run_id


def current_run(settings: Settings) -> str | None:
    """The run that is published; None when there is none."""
    return _run_of(settings, LINK)


def kept_runs(settings: Settings) -> list[str]:
    """The runs whose publications are kept, the newest first."""
    written = {file.parent.name: file.stat().st_mtime_ns for file in settings.published.glob(f"runs/[!.]*/{LINK}")}
    return sorted(written, key=lambda run_id: (written[run_id], run_id), reverse=True)


def point_back(settings: Settings, run_id: str) -> None:
    """Publish a kept run again. The caller holds `writer_lock`."""
    for part in PARTS:
        if not (run_folder(settings, run_id) / part).exists():
            (settings.published / part).unlink(missing_ok=True)  # what would stay is a newer run's
    _point_all(settings, run_id)


def remove_old(settings: Settings, keep: int) -> None:
    """Remove all publications but the newest `keep` and the one that is published, with all their parts."""
    for run_id in kept_runs(settings)[keep:]:
        if run_id != current_run(settings):
            (run_folder(settings, run_id) / LINK).unlink()
    _remove_leftovers(settings)


def current(settings: Settings) -> dict[str, Any] | None:
    """The facts of the publication that readers see now; None when there is none, or its file is gone or unreadable."""
    return facts_of(Path(os.path.realpath(settings.published / LINK)))


def facts_of(path: Path) -> dict[str, Any] | None:
    """The facts of a publication's DuckDB file; None when it is gone or unreadable."""
    if not path.is_file():
        return None
    try:
        with closing(duckdb.connect(str(path), read_only=True)) as connection:
            cursor = connection.execute("select * from main._publication")
            names = [column[0] for column in cursor.description]
            [row] = cursor.fetchall()
    except duckdb.Error:
        return None
    return {
        name.removesuffix("_json"): json.loads(value) if name.endswith("_json") else value
        for name, value in zip(names, row, strict=True)
    }


def _marts(manifest: Mapping[str, Any]) -> list[_Mart]:
    """The public models of a dbt manifest, by schema and name."""
    keys = _keys(manifest)
    marts = [
        _Mart(
            schema=node["schema"],
            name=node.get("alias") or node["name"],
            description=(node.get("description") or "").strip(),
            columns={column["name"]: (column.get("description") or "").strip() for column in node["columns"].values()},
            publication_order=tuple(_meta(node).get("publication_order", ())),
            key=keys.get(unique_id, ()),
            references=_references(manifest, unique_id, keys),
            private_columns=tuple(
                column["name"] for column in node["columns"].values() if _is_tagged(node) or _is_tagged(column)
            ),
            public_columns=tuple(
                column["name"] for column in node["columns"].values() if _meta(column).get("pii") is False
            ),
        )
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node["schema"] in PUBLIC_SCHEMAS
    ]
    if not marts:
        raise StrataError(
            f"the dbt project has no model in the schemas {' and '.join(PUBLIC_SCHEMAS)}: there is nothing to publish."
        )
    return sorted(marts, key=lambda mart: (mart.schema, mart.name))


def _tests(manifest: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The generic tests of this name that stop a publication and look at every row."""
    return [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and (node.get("test_metadata") or {}).get("name") == name
        and not node["config"].get("where")
        and node["config"].get("severity", "error").lower() == "error"
    ]


def _keys(manifest: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Model -> the columns that are tested to be unique together, and never null."""
    return {
        test["attached_node"]: tuple(test["test_metadata"]["kwargs"]["columns"])
        for test in _tests(manifest, "unique_combination")
    }


def _references(manifest: Mapping[str, Any], model: str, keys: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Columns of a model that are tested to hold nothing but keys of a public mart, or nulls -> that mart."""
    references = {}
    for test in _tests(manifest, "relationships"):
        if test["attached_node"] == model:
            [target] = {*test["depends_on"]["nodes"]} - {model}
            node = manifest["nodes"][target]
            if keys.get(target) == (test["test_metadata"]["kwargs"]["field"],) and node["schema"] in PUBLIC_SCHEMAS:
                references[test["column_name"]] = f"{node['schema']}.{node.get('alias') or node['name']}"
    return references


def _meta(entry: Mapping[str, Any]) -> dict[str, Any]:
    """`meta` of a model or column: dbt keeps it at the top, under `config`, or both."""
    return {**(entry.get("meta") or {}), **((entry.get("config") or {}).get("meta") or {})}


def _is_tagged(entry: Mapping[str, Any]) -> bool:
    tags = [*(entry.get("tags") or ()), *((entry.get("config") or {}).get("tags") or ())]
    return bool(_meta(entry).get("pii")) or any(tag.lower() == "pii" for tag in tags)


def _is_private_name(column: str) -> bool:
    name = column.lower()
    return name in PII_NAMES or name.endswith(PII_ENDINGS)


def _is_plain(data_type: str) -> bool:
    """Can every BI client read it? No nested type, no HUGEINT, no DECIMAL wider than 18 digits."""
    decimal = re.fullmatch(r"DECIMAL\((\d+),\d+\)", data_type)
    return int(decimal[1]) <= 18 if decimal else data_type in PLAIN_TYPES


def _private_names(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Columns that a model below the marts tags as personal data -> that model: a mart shows none of that name."""
    return {
        column["name"]: node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["schema"] not in PUBLIC_SCHEMAS
        for column in node["columns"].values()
        if _is_tagged(column)
    }


def _private_values(connection: duckdb.DuckDBPyConnection, mart: _Mart, types: Mapping[str, str]) -> list[str]:
    """Columns of a mart that hold addresses or telephone numbers; one scan, and no value is repeated."""
    texts = [name for name, data_type in types.items() if data_type == "VARCHAR" and name not in mart.public_columns]
    if not texts:
        return []
    counts = ", ".join(
        f"count_if((contains({identifier(name)}, '@') or {identifier(name)}[1] in ('+', '(')) "
        f"and regexp_full_match({identifier(name)}, {literal(PII_VALUES)}))"
        for name in texts
    )
    [found] = connection.execute(f"select {counts} from warehouse.{mart.relation}").fetchall()
    return [
        f"{mart.label}.{name} holds e-mail addresses or telephone numbers ({rows:,}): leave the column out, or clean "
        f"it on its way. If they are public ones, say so in the yml of {mart.name}: config: {{meta: {{pii: false}}}}."
        for name, rows in zip(texts, found, strict=True)
        if rows
    ]


def _refuse(faults: Sequence[str]) -> None:
    """Raise one StrataError that lists all that is wrong, so that it can be put right at once."""
    if faults:
        raise StrataError(
            "nothing was published, the last publication stays as it was:\n"
            + "\n".join(f"  - {fault}" for fault in faults)
        )


def _faults(mart: _Mart, types: Mapping[str, str] | None, private_names: Mapping[str, str]) -> list[str]:
    yml = f"the yml of {mart.name}"
    if types is None:
        return [f"{mart.label} is a model but not a table of the warehouse: build all models, then publish."]
    faults = []
    if not mart.description:
        faults.append(f"{mart.label} has no description: write one in {yml}.")
    for column in mart.columns.keys() - types.keys():
        faults.append(f"{mart.label}.{column} is described but not in the table: build the model or correct {yml}.")
    for column, data_type in types.items():
        where = f"{mart.label}.{column}"
        if column in mart.private_columns:
            faults.append(f"{where} is tagged as personal data: leave it out of the mart.")
        elif column in private_names:
            faults.append(f"{where} is tagged as personal data in {private_names[column]}: leave it out of the mart.")
        elif _is_private_name(column):
            faults.append(
                f"{where} has the name of personal data: leave it out of the mart, or rename it if it is not."
            )
        if not mart.columns.get(column):
            faults.append(f"{where} has no description: write one in {yml}.")
        if not _is_plain(data_type):
            faults.append(
                f"{where} is {data_type}, which BI clients can't read: cast it to bigint, decimal(18, 2) or varchar."
            )
    for column in mart.publication_order:
        if column not in types:
            faults.append(f"{mart.label} is to be ordered by {column!r}, which it doesn't have: correct {yml}.")
    return sorted(faults)


def _attach_warehouse(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Read-only, with room to spill beside the warehouse rather than in the working directory."""
    if not settings.warehouse.is_file():
        raise StrataError(
            f"there is no warehouse {settings.warehouse}: run `make refresh DATASET={settings.dataset}` first."
        )
    connection.execute(f"set temp_directory = {literal(str(settings.warehouse) + '.tmp')}")
    if limit := os.environ.get("STRATA_MEMORY_LIMIT"):
        connection.execute(f"set memory_limit = {literal(limit)}")
    try:
        connection.execute(f"attach {literal(settings.warehouse)} as warehouse (read_only)")
    except duckdb.Error as error:
        raise StrataError(
            f"can't read the warehouse {settings.warehouse}: {error}\n"
            "Close the program that has it open (BI tools should open the published file), then refresh again."
        ) from error


def _warehouse_columns(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """`schema.table` -> column -> type, for tables and views of the public schemas."""
    rows = connection.execute(
        """
        select schema_name || '.' || table_name, column_name, data_type
        from duckdb_columns()
        where database_name = 'warehouse' and list_contains($schemas, schema_name)
        order by schema_name, table_name, column_index
        """,
        {"schemas": list(PUBLIC_SCHEMAS)},
    ).fetchall()
    columns: dict[str, dict[str, str]] = {}
    for table, column, data_type in rows:
        columns.setdefault(table, {})[column] = data_type
    return columns


def _copy(connection: duckdb.DuckDBPyConnection, marts: Sequence[_Mart], temporary: Path) -> dict[str, int]:
    """Write every mart and its comments to a new file; the rows that the warehouse holds, by `schema.name`."""
    connection.execute(f"attach {literal(temporary)} as publication (storage_version {literal(STORAGE_VERSION)})")
    for schema in PUBLIC_SCHEMAS:
        connection.execute(f"create schema publication.{schema}")
    row_counts = {}
    for mart in marts:
        columns = ", ".join(identifier(column) for column in mart.columns)
        order = ", ".join(f"{identifier(column)} nulls last" for column in mart.publication_order)
        source, target = f"warehouse.{mart.relation}", f"publication.{mart.relation}"
        connection.execute(
            f"create table {target} as select {columns} from {source}" + (f" order by {order}" if order else "")
        )
        connection.execute(f"comment on table {target} is {literal(mart.description)}")
        for column, description in mart.columns.items():
            connection.execute(f"comment on column {target}.{identifier(column)} is {literal(description)}")
        row_counts[mart.label] = _count(connection, source)
    return row_counts


def _write_parquet(connection: duckdb.DuckDBPyConnection, marts: Sequence[_Mart], folder: Path) -> None:
    """Write every mart of the finished file, attached as `written`, to `<folder>/<schema>/<mart>.parquet`."""
    for mart in marts:
        target = folder / mart.schema / f"{mart.name}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        connection.execute(f"copy written.{mart.relation} to {literal(target)} (format parquet, compression zstd)")


def _verify(
    connection: duckdb.DuckDBPyConnection, marts: Sequence[_Mart], parquet: Path, row_counts: Mapping[str, int]
) -> None:
    """Open the finished files as a reader would and count again."""
    import pyarrow.parquet as pq  # imported late: it takes half a second

    for mart in marts:
        expected = row_counts[mart.label]
        found = {
            "DuckDB": _count(connection, f"written.{mart.relation}"),
            "Parquet": pq.read_metadata(parquet / mart.schema / f"{mart.name}.parquet").num_rows,
        }
        for kind, rows in found.items():
            if rows != expected:
                raise StrataError(
                    f"{mart.label} has {expected} rows in the warehouse and {rows} in the new {kind} file, which was "
                    "thrown away; the last publication stays as it was. Check the disk, then refresh again."
                )
    connection.execute("detach written")


def _count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    [(rows,)] = connection.execute(f"select count(*) from {relation}").fetchall()
    return rows


def _all_facts(
    settings: Settings, manifest: Mapping[str, Any], marts: Sequence[_Mart], run_id: str,
    row_counts: Mapping[str, int], facts: Mapping[str, object],
) -> dict[str, object]:  # fmt: skip
    return {
        "dataset": settings.dataset,
        "run_id": run_id,
        "published_at": datetime.now(UTC).replace(tzinfo=None),
        "git_commit": git_commit(),
        "dbt_version": manifest.get("metadata", {}).get("dbt_version"),
        "duckdb_version": duckdb.__version__,
        **facts,
        "row_counts": dict(row_counts),
        "keys": {mart.label: mart.key for mart in marts},
        "references": {mart.label: mart.references for mart in marts},
        "sorted_by": {mart.label: mart.publication_order for mart in marts},
    }


def git_commit() -> str | None:
    """The commit the project is at; None without git or outside a clone."""
    git = shutil.which("git")
    if git is None:
        return None
    result = subprocess.run(  # noqa: S603
        [git, "-C", str(PROJECT_DIR), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return result.stdout.strip() if result.returncode == 0 else None


def _write_facts(connection: duckdb.DuckDBPyConnection, facts: Mapping[str, object]) -> None:
    """One row, one column a fact; lists and mappings as JSON text in a column whose name ends with `_json`."""
    columns: dict[str, tuple[str, object]] = {}
    for name, value in facts.items():
        if isinstance(value, (Mapping, list, tuple)):
            columns[f"{name}_json"] = ("varchar", json.dumps(value, default=str))
        else:
            columns[name] = (_column_type(value), value)
    table = "publication.main._publication"
    definition = ", ".join(f"{identifier(name)} {data_type}" for name, (data_type, _) in columns.items())
    connection.execute(f"create table {table} ({definition})")
    connection.execute(
        f"insert into {table} values ({', '.join('?' for _ in columns)})",
        [value for _, value in columns.values()],
    )
    connection.execute(f"comment on table {table} is 'How this file came to be. One row.'")


def _column_type(value: object) -> str:
    # bool before int, datetime before date: each is also an instance of the other
    types: list[tuple[type, str]] = [
        (bool, "boolean"),
        (int, "bigint"),
        (float, "double"),
        (Decimal, "decimal(18, 2)"),
        (datetime, "timestamp"),
        (date, "date"),
    ]
    return next((name for kind, name in types if isinstance(value, kind)), "varchar")


def sync(path: Path) -> None:
    """Force a file or folder to disk, so that a power cut can't leave a link to an unwritten file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _seal(path: Path) -> None:
    """Make a file, or a folder's files, read-only, and force all of it to disk."""
    for entry in (*path.rglob("*"), path):
        if entry.is_file():
            entry.chmod(0o444)
        sync(entry)


def _point_all(settings: Settings, run_id: str) -> None:
    """Point every link at its part of a run. Where the run has none yet, the link stays."""
    for part in PARTS:
        if (run_folder(settings, run_id) / part).exists():
            _point(settings, part, run_id)


def _point(settings: Settings, part: str, run_id: str) -> None:
    """Swap a symlink in one step; relative, so that the folder can be moved or mounted elsewhere."""
    link = settings.published / part
    new = link.with_name(f".{part}.tmp")
    new.unlink(missing_ok=True)
    new.symlink_to(run_folder(settings, run_id).relative_to(settings.published) / part)
    new.replace(link)
    sync(link.parent)


def _run_of(settings: Settings, part: str) -> str | None:
    """The run that a link points to; None when it points to nothing."""
    link = settings.published / part
    return (Path(os.readlink(link)).parent.name or None) if link.is_symlink() and link.exists() else None


def _remove_leftovers(settings: Settings) -> None:
    """Remove what a crashed publication left, folders of runs whose DuckDB file is gone, and links to nothing."""
    folder = settings.published
    leftovers = [file for pattern in (".*.tmp", "runs/.*.tmp", "runs/*/.*.tmp") for file in folder.glob(pattern)]
    leftovers += [run for run in folder.glob("runs/*") if not (run / LINK).exists()]
    for leftover in leftovers:
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)  # gone with its folder
    for part in PARTS:
        if not (folder / part).exists():
            (folder / part).unlink(missing_ok=True)
