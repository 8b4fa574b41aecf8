"""PostgreSQL, where STRATA_POSTGRES names a database: the marts with keys and comments, for tools that need a server.

One transaction loads the schemas marts and quality anew and puts them in the place of the old ones by renaming, which
waits for no reader. Queries that run keep the old tables until they end; then those are dropped.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
from psycopg import sql
from pyarrow import csv

from orchestration import publish
from orchestration.errors import RetryableError, StrataError
from orchestration.quoting import identifier
from orchestration.settings import Settings

READER = "bi_reader"
WRITER_LOCK = 0x57A7A  # of pg_try_advisory_xact_lock: one writer a database
ROWS_PER_BATCH = 50_000
TYPES = {
    "BOOLEAN": "boolean", "TINYINT": "smallint", "SMALLINT": "smallint", "INTEGER": "integer", "BIGINT": "bigint",
    "UTINYINT": "smallint", "USMALLINT": "integer", "UINTEGER": "bigint", "UBIGINT": "numeric(20, 0)",
    "FLOAT": "real", "DOUBLE": "double precision", "VARCHAR": "text", "DATE": "date", "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
}  # fmt: skip

#: Views on the tables of a schema that are in another one, and so are not Strata's.
VIEWS_ON = """
    select distinct rewritten.ev_class::regclass::text as name
    from pg_depend as dependencies
    inner join pg_rewrite as rewritten on dependencies.objid = rewritten.oid
    inner join pg_class as tables on dependencies.refobjid = tables.oid
    inner join pg_namespace as schemas on tables.relnamespace = schemas.oid
    where dependencies.classid = 'pg_rewrite'::regclass and dependencies.refclassid = 'pg_class'::regclass
        and schemas.nspname = %s and rewritten.ev_class::regclass::text not like %s
    order by name
"""


@dataclass(frozen=True)
class _Table:
    """A table of the publication: where it is in the file, and what it is to be in PostgreSQL."""

    source: str
    schema: str
    name: str
    description: str | None
    columns: tuple[tuple[str, str, str | None], ...]
    """Name, DuckDB's type, description."""

    @property
    def next(self) -> sql.Identifier:
        return sql.Identifier(_next(self.schema), self.name)


def publish_postgres(settings: Settings, publication: Path | None = None) -> dict[str, int]:
    """Load a publication's DuckDB file (the current one's) into PostgreSQL; the rows per table, `marts.orders`: 1000.

    Nothing is loaded, and nothing returned, where all of that run is in PostgreSQL already. The role bi_reader may read
    both schemas, and nothing else of Strata's. The caller holds `writer_lock`.

    Raises RetryableError where the server is away, somebody holds a lock or another process loads; StrataError where
    nothing is published, the database holds another data set or other schemas of these names, or a right is missing.
    On any failure PostgreSQL stays as it was.
    """
    path = publication or settings.published / publish.LINK
    facts = publish.facts_of(path)
    if facts is None:
        raise StrataError(f"there is no publication {path}: run `make refresh DATASET={settings.dataset}` first.")
    rows: dict[str, int] = {}
    with _connected() as connection:
        with connection.transaction():
            connection.execute("set local lock_timeout = '30s'")
            [is_alone] = _row(connection, "select pg_try_advisory_xact_lock(%s)", WRITER_LOCK)
            if not is_alone:
                raise RetryableError(f"another process loads marts into PostgreSQL ({_where()}): try again after it.")
            held = _held(connection, settings.dataset)
            if held != facts["run_id"] or not _has_all(connection, facts):
                rows = _load(connection, path, facts)
                _swap(connection)
        _drop_replaced(connection)
    return rows


def replaced_schemas() -> list[str]:
    """Schemas of earlier publications that could not be dropped yet, because somebody reads them."""
    with _connected() as connection:
        return _replaced(connection)


def _conninfo() -> dict[str, Any]:
    try:
        return psycopg.conninfo.conninfo_to_dict(os.environ["STRATA_POSTGRES"])
    except psycopg.ProgrammingError:
        pass  # its message holds the password
    raise StrataError(
        "STRATA_POSTGRES is no connection string of PostgreSQL, such as postgresql://strata@localhost:5432/shop: "
        "see https://www.postgresql.org/docs/current/libpq-connect.html. Special characters in a URL are %-encoded."
    )


def _where() -> str:
    """The database as it may be shown: without the password."""
    told = _conninfo()
    return " ".join(f"{name}={told[name]}" for name in ("host", "hostaddr", "port", "dbname", "user") if told.get(name))


@contextmanager
def _connected() -> Iterator[psycopg.Connection]:
    told = {"connect_timeout": 10, "application_name": "strata", **_conninfo(), "client_encoding": "utf8"}
    try:
        with psycopg.connect(**told, autocommit=True, prepare_threshold=None) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise RetryableError(
            f"PostgreSQL ({_where()}) can't be written to, and stays as it was: {_first_line(error)}\n"
            "Start the server or correct STRATA_POSTGRES, then run the same command again: what is there isn't redone."
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise StrataError(
            f"PostgreSQL ({_where()}) refuses, and stays as it was: {_first_line(error)}\n"
            f"The user needs to create schemas in the database (grant create on database ...) and, unless there is a "
            f"role {READER}, to create roles: or let an administrator run `create role {READER} nologin`."
        ) from error
    except psycopg.Error as error:
        raise StrataError(
            f"the publication can't be loaded into PostgreSQL ({_where()}), which stays as it was: {error}"
        ) from error


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().partition("\n")[0]


def _row(connection: psycopg.Connection, query: str, *values: object) -> tuple[Any, ...]:
    return connection.execute(query, values).fetchone() or ()


def _held(connection: psycopg.Connection, dataset: str) -> str | None:
    """The run that the database holds, None where it has neither schema. Raises StrataError where it isn't ours."""
    names = "schemas " + " and ".join(publish.PUBLIC_SCHEMAS)
    found = _row(connection, "select count(*) from pg_namespace where nspname = any(%s)", list(publish.PUBLIC_SCHEMAS))
    if found == (0,):
        return None
    holder = "something that Strata did not write"
    if _row(connection, "select to_regclass('quality._publication') is not null") == (True,):
        # as JSON: publications of earlier versions don't name their data set
        held, run_id = _row(
            connection, "select to_jsonb(facts) ->> 'dataset', run_id from quality._publication as facts"
        )
        if held in (dataset, None):
            return run_id
        holder = f"the data set {held!r}"
    raise StrataError(
        f"the {names} of PostgreSQL ({_where()}) hold {holder}, so {dataset!r} was not loaded. Name another database "
        "in STRATA_POSTGRES, or drop both schemas first if they are no longer needed."
    )


def _has_all(connection: psycopg.Connection, facts: Mapping[str, Any]) -> bool:
    """Are all tables of a publication there?"""
    wanted = list(facts["row_counts"])
    query = "select count(*) from pg_tables where schemaname || '.' || tablename = any(%s)"
    return _row(connection, query, wanted) == (len(wanted),)


def _load(connection: psycopg.Connection, path: Path, facts: Mapping[str, Any]) -> dict[str, int]:
    """Create the schemas marts_next and quality_next from a publication's file; the rows per table."""
    for schema in publish.PUBLIC_SCHEMAS:
        _run(connection, "create schema {}", sql.Identifier(_next(schema)))
    with closing(duckdb.connect(str(path), read_only=True)) as db:
        tables = _tables(db)
        rows = {f"{table.schema}.{table.name}": _copy(connection, db, table) for table in tables}
    for mart, key in facts.get("keys", {}).items():
        if key:
            _run(connection, "alter table {} add primary key ({})", _next_table(mart), _list(key))
    for mart, references in facts.get("references", {}).items():
        for column, target in references.items():
            _run(
                connection, "alter table {} add foreign key ({}) references {}",
                _next_table(mart), sql.Identifier(column), _next_table(target),
            )  # fmt: skip
    for mart, key in facts.get("keys", {}).items():
        for columns in _indexes(key, facts["sorted_by"][mart], facts["references"][mart]):
            _run(connection, "create index on {} ({})", _next_table(mart), _list(columns))
    for table in tables:
        _run(connection, "analyze {}", table.next)
    return rows


def _tables(db: duckdb.DuckDBPyConnection) -> list[_Table]:
    """The tables of a publication's file; its facts, `main._publication`, go to the schema quality."""
    found = db.execute(
        """
        select
            tables.schema_name,
            tables.table_name,
            tables.comment,
            list((columns.column_name, columns.data_type, columns.comment) order by columns.column_index)
        from duckdb_tables() as tables
        inner join duckdb_columns() as columns using (schema_name, table_name)
        group by all
        order by all
        """
    ).fetchall()
    return [
        _Table(
            source=f"{identifier(schema)}.{identifier(name)}",
            schema="quality" if schema == "main" else schema,
            name=name,
            description=description,
            columns=tuple(columns),
        )
        for schema, name, description, columns in found
    ]


def _copy(connection: psycopg.Connection, db: duckdb.DuckDBPyConnection, table: _Table) -> int:
    """Create one table with its rows and comments; the number of rows."""
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(_type(data_type))) for name, data_type, _ in table.columns
    ]
    _run(connection, "create table {} ({})", table.next, sql.SQL(", ").join(columns))
    selected = ", ".join(
        # PostgreSQL's text can't hold the character 0
        f"replace({identifier(name)}, chr(0), chr(65533))" if data_type == "VARCHAR" else identifier(name)
        for name, data_type, _ in table.columns
    )
    reader = db.sql(f"select {selected} from {table.source}").to_arrow_reader(ROWS_PER_BATCH)
    # Frozen rows are seen by transactions that began before this one: none of them ever meets empty tables.
    load = sql.SQL("copy {} from stdin (format csv, freeze)").format(table.next)
    with connection.cursor() as cursor:
        with cursor.copy(load) as copy:
            for batch in reader:
                buffer = pa.BufferOutputStream()
                csv.write_csv(batch, buffer, csv.WriteOptions(include_header=False))
                copy.write(buffer.getvalue())
        rows = cursor.rowcount
    _run(connection, "comment on table {} is {}", table.next, sql.Literal(table.description))
    for name, _, description in table.columns:
        column = sql.Identifier(_next(table.schema), table.name, name)
        _run(connection, "comment on column {} is {}", column, sql.Literal(description))
    return rows


def _indexes(key: Sequence[str], sorted_by: Sequence[str], references: Mapping[str, str]) -> list[tuple[str, ...]]:
    """What to index beside the key: the usual filters, which a mart is sorted by, and the columns of joins."""
    wanted = {tuple(sorted_by), *((column,) for column in references)}
    return sorted(
        columns
        for columns in wanted
        if not any(other[: len(columns)] == columns for other in (wanted - {columns}) | {tuple(key)})
    )


def _swap(connection: psycopg.Connection) -> None:
    """Put the new schemas in the place of the old ones, and let bi_reader read these and no others."""
    if not _row(connection, "select 1 from pg_roles where rolname = %s", READER):
        _run(connection, "create role {} nologin", sql.Identifier(READER))
    [now] = _row(connection, "select to_char(clock_timestamp(), 'YYYYMMDDHH24MISSUS')")
    reader = sql.Identifier(READER)
    for schema in publish.PUBLIC_SCHEMAS:
        current, following, old = (sql.Identifier(name) for name in (schema, _next(schema), f"{schema}_old_{now}"))
        if _row(connection, "select to_regnamespace(%s) is not null", schema) == (True,):
            _run(connection, "revoke all on schema {} from {}", current, reader)
            _run(connection, "alter schema {} rename to {}", current, old)
        _run(connection, "alter schema {} rename to {}", following, current)
        _run(connection, "revoke all on schema {} from public", current)
        _run(connection, "revoke all on all tables in schema {} from public", current)
        _run(connection, "grant usage on schema {} to {}", current, reader)
        _run(connection, "grant select on all tables in schema {} to {}", current, reader)


def _replaced(connection: psycopg.Connection) -> list[str]:
    pattern = f"^({'|'.join(publish.PUBLIC_SCHEMAS)})_old_[0-9]{{20}}$"
    found = connection.execute("select nspname from pg_namespace where nspname ~ %s order by nspname", [pattern])
    return [name for (name,) in found]


def _drop_replaced(connection: psycopg.Connection) -> None:
    """Drop the schemas of earlier publications, and say whose views go with them. One that somebody still reads is left
    to the next run."""
    for schema in _replaced(connection):
        try:
            with connection.transaction():
                connection.execute("set local lock_timeout = '1s'")
                views = [name for (name,) in connection.execute(VIEWS_ON, [schema, f"{schema}.%"])]
                _run(connection, "drop schema {} cascade", sql.Identifier(schema))
        except psycopg.errors.LockNotAvailable:
            continue
        if views:
            print(
                f"PostgreSQL: {', '.join(views)} went with the marts of an earlier publication. Make them anew, or "
                "keep them as queries in the tool that asks them.",
                file=sys.stderr,
            )


def _run(connection: psycopg.Connection, statement: str, *parts: sql.Composable) -> None:
    connection.execute(sql.SQL(statement).format(*parts))


def _list(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _next(schema: str) -> str:
    return f"{schema}_next"


def _next_table(mart: str) -> sql.Identifier:
    schema, name = mart.split(".", 1)
    return sql.Identifier(_next(schema), name)


def _type(data_type: str) -> str:
    """PostgreSQL's type for one of `publish.PLAIN_TYPES` or DECIMAL(p,s): no money becomes a double."""
    decimal = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", data_type)
    return f"numeric({decimal[1]}, {decimal[2]})" if decimal else TYPES[data_type]
