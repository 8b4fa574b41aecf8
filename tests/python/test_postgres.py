"""What PostgreSQL is promised: the rows of the publication to the cent, for bi_reader alone, swapped under readers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

import hostile
from orchestration.errors import RetryableError, StrataError
from orchestration.forget import forget
from orchestration.postgres import publish_postgres, replaced_schemas
from orchestration.publish import current, publish
from orchestration.rollback import rollback
from orchestration.settings import Settings
from postgres_server import Server, running
from rehearsal import Rehearsal
from toy_publication import a_manifest, model, publish_demo, query, write_warehouse


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.of("demo", home=tmp_path)


@pytest.fixture
def database(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database, which STRATA_POSTGRES names."""
    name = server.new_database()
    monkeypatch.setenv("STRATA_POSTGRES", server.url(name, "strata"))
    return name


@pytest.fixture
def analyst(server: Server, database: str) -> Callable[..., psycopg.Connection]:
    """Connects as somebody who has the role bi_reader, and no other."""

    def connect(**more: Any) -> psycopg.Connection:
        with server.connect() as admin:
            if not admin.execute("select 1 from pg_roles where rolname = 'analyst'").fetchone():
                admin.execute("create role analyst login in role bi_reader")
        return server.connect(database, "analyst", **more)

    return connect


def publish_rows(settings: Settings, run_id: str, rows: int, **more: Any) -> None:
    write_warehouse(settings, rows=rows)
    publish_demo(settings, run_id, facts={"as_of": run_id}, **more)


#: Column -> DuckDB's type and two values of it, and PostgreSQL's type.
HOSTILE = {
    "money": ("decimal(18, 2)", "9999999999999999.99", "-0.05", "numeric(18,2)"),
    "quantity": ("decimal(18, 3)", "0.001", "null", "numeric(18,3)"),
    "orders": ("bigint", "9223372036854775807", "-9223372036854775808", "bigint"),
    "many": ("ubigint", "18446744073709551615", "0", "numeric(20,0)"),
    "few": ("utinyint", "255", "null", "smallint"),
    "day": ("date", "date '0099-12-31'", "date '2025-02-28'", "date"),
    "moment": ("timestamp", "timestamp '2025-03-30 02:30:00.123456'", "null", "timestamp without time zone"),
    "instant": (
        "timestamptz", "timestamptz '2025-03-30 02:30:00.123456+02'", "null", "timestamp with time zone"
    ),
    "share": ("double", "0.30000000000000004", "5e-324", "double precision"),
    "lift": ("float", "0.25", "null", "real"),
    "is_latest": ("boolean", "true", "null", "boolean"),
    "empty": ("varchar", "''", "null", "text"),
    "Weird \"name\" %s": ("varchar", r"'\N'", r"'\.'", "text"),
    "lines": ("varchar", r"'a' || chr(10) || '\.' || chr(13) || chr(10) || '"", é €'", "'null'", "text"),
}  # fmt: skip


def test_rows_types_and_comments_arrive_as_they_are(settings: Settings, server: Server, database: str) -> None:
    def row(position: int) -> str:
        return ", ".join(
            f'cast({told[position]} as {told[0]}) as "{name.replace(chr(34), chr(34) * 2)}"'
            for name, told in HOSTILE.items()
        )

    write_warehouse(
        settings, extra=f"create table marts.hostile as select {row(1)} union all select {row(2)};"
        "create table marts.zero as select 'a' || chr(0) || 'b' as text, cast(null as varchar) as nothing;",
    )  # fmt: skip
    manifest = a_manifest()
    manifest["nodes"]["model.strata.hostile"] = model("marts", "hostile", *HOSTILE)
    manifest["nodes"]["model.strata.zero"] = model("marts", "zero", "text", "nothing")
    publish(settings, manifest=manifest, run_id="first")
    loaded = {"marts.customers": 5, "marts.hostile": 2, "marts.zero": 1, "quality.message_ledger": 5}
    assert publish_postgres(settings) == {**loaded, "quality._publication": 1}

    with server.connect(database) as connection:

        def there(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql).fetchall()

        assert there("select * from marts.hostile order by money") == sorted(query(settings, "from marts.hostile"))
        assert there("select * from marts.customers") == query(settings, "from marts.customers")
        assert there("select * from marts.zero") == [("a\ufffdb", None)], "PostgreSQL's text can't hold the character 0"
        types = there(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = 'marts.hostile'::regclass and attnum > 0 order by attnum"
        )
        assert types == [(name, told[-1]) for name, told in HOSTILE.items()]
        described = there(
            "select obj_description('marts.customers'::regclass), col_description('marts.customers'::regclass, 1)"
        )
        assert described == [("It's customers. One row per thing.", "The order, described.")]
        assert there("select dataset, run_id from quality._publication") == [("demo", "first")]


def test_bi_reader_reads_the_marts_and_nothing_else(
    settings: Settings, server: Server, database: str, analyst: Callable[..., psycopg.Connection]
) -> None:
    publish_rows(settings, "first", 5)
    publish_postgres(settings)
    with server.connect(database, "strata") as owner:
        owner.execute("create schema private create table secrets (secret text)")
        publish_rows(settings, "second", 6)
        owner.execute("begin")
        owner.execute("select from marts.customers, quality.message_ledger")  # so that they can't be dropped
        publish_postgres(settings)
        old = replaced_schemas()
        assert {name.rpartition("_old_")[0] for name in old} == {"marts", "quality"}
        with analyst() as connection:
            for table, rows in (("marts.customers", 6), ("quality.message_ledger", 6), ("quality._publication", 1)):
                assert connection.execute(f"select count(*) from {table}").fetchone() == (rows,)
            for refused in (
                *(f"select * from {schema}.customers" for schema in old),
                "select * from private.secrets",
                "insert into marts.customers values (1, 1, 1)",
                'update marts.customers set "order" = 1',
                "delete from quality.message_ledger",
                "truncate quality.message_ledger",
                "drop table marts.customers",
                *(f"create table {schema}.mine (id int)" for schema in ("marts", "quality", "private", "public")),
                "create schema mine",
                "set role strata",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(refused)
        owner.execute("commit")
    with server.connect(database) as connection:
        assert connection.execute("select rolcanlogin from pg_roles where rolname = 'bi_reader'").fetchone() == (False,)


def test_a_swap_waits_for_no_reader_and_takes_no_rows_from_one(
    settings: Settings, database: str, analyst: Callable[..., psycopg.Connection]
) -> None:
    publish_rows(settings, "first", 5_000)
    publish_postgres(settings)
    publish_rows(settings, "second", 7_000)
    with analyst() as connection, analyst() as repeatable:
        for one in (connection, repeatable):
            one.execute("begin transaction isolation level repeatable read")
        repeatable.execute("select 1")  # its snapshot is older than the second publication
        reading = connection.cursor("reading")
        reading.execute("select generation from marts.customers")
        rows = reading.fetchmany(10)

        started = time.monotonic()
        assert publish_postgres(settings)["marts.customers"] == 7_000
        assert time.monotonic() - started < 10
        assert [name.rpartition("_old_")[0] for name in replaced_schemas()] == ["marts"], "what nobody reads is dropped"

        # The query goes on with the rows that it began with; what is asked from now on has the new ones, all of them.
        rows += reading.fetchall()
        assert rows == [(5_000,)] * 5_000
        for one in (connection, repeatable):
            seen = one.execute("select count(*), min(generation), max(generation) from marts.customers").fetchone()
            assert seen == (7_000, 7_000, 7_000)
        for one in (connection, repeatable):
            one.execute("commit")
    assert publish_postgres(settings) == {}, "the same run is loaded once"
    assert replaced_schemas() == []


def test_a_load_that_fails_leaves_the_old_marts(settings: Settings, server: Server, database: str) -> None:
    publish_rows(settings, "first", 5)
    publish_postgres(settings)
    manifest = a_manifest()
    manifest["nodes"]["test.strata.key"] = {
        "resource_type": "test", "schema": "tests", "name": "key", "config": {"severity": "ERROR"},
        "attached_node": "model.strata.customers",
        "test_metadata": {"name": "unique_combination", "kwargs": {"columns": ["generation"]}},
    }  # fmt: skip
    publish(settings, manifest=manifest, run_id="second")
    with pytest.raises(StrataError, match=r"(?s)stays as it was.*Key \(generation\)=\(5\) is duplicated"):
        publish_postgres(settings)
    with server.connect(database) as connection:
        schemas = connection.execute("select nspname from pg_namespace where nspname ~ '^(marts|quality)'").fetchall()
        assert sorted(schemas) == [("marts",), ("quality",)]
        assert connection.execute("select run_id from quality._publication").fetchone() == ("first",)
        assert connection.execute("select count(*) from marts.customers").fetchone() == (5,)


def test_what_is_missing_of_a_run_is_loaded_again(settings: Settings, server: Server, database: str) -> None:
    publish_rows(settings, "first", 5)
    publish_postgres(settings)
    assert publish_postgres(settings) == {}
    with server.connect(database, "strata") as connection:
        for loss in ("drop table marts.customers cascade", "drop schema marts cascade"):
            connection.execute(loss)
            assert publish_postgres(settings)["marts.customers"] == 5
            assert connection.execute("select count(*) from marts.customers").fetchone() == (5,)
            assert replaced_schemas() == []


def test_views_that_go_with_their_marts_are_named(
    settings: Settings, server: Server, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_rows(settings, "first", 5)
    publish_postgres(settings)
    with server.connect(database) as connection:
        connection.execute("create schema reports; create view reports.everybody as select * from marts.customers")
        publish_rows(settings, "second", 6)
        publish_postgres(settings)
        assert "PostgreSQL: reports.everybody went with the marts" in capsys.readouterr().err
        publish_rows(settings, "third", 7)
        publish_postgres(settings)
    assert capsys.readouterr().err == ""


def test_another_data_set_is_not_overwritten(settings: Settings, server: Server, database: str) -> None:
    publish_rows(settings, "first", 5)
    publish_postgres(settings)
    other = Settings.of("other", home=settings.home)
    publish_rows(other, "second", 6)
    with pytest.raises(StrataError, match=r"hold the data set 'demo', so 'other' was not loaded"):
        publish_postgres(other)
    with server.connect(database) as connection:
        connection.execute("drop schema quality cascade")
        with pytest.raises(StrataError, match="hold something that Strata did not write"):
            publish_postgres(other)
        connection.execute("drop schema marts cascade")
        assert publish_postgres(other)["marts.customers"] == 6


def test_a_second_writer_is_told_to_come_back(settings: Settings, server: Server, database: str) -> None:
    publish_rows(settings, "first", 5)
    with server.connect(database) as connection:
        connection.execute("select pg_advisory_lock(%s)", [0x57A7A])
        with pytest.raises(RetryableError, match="another process loads marts"):
            publish_postgres(settings)
    assert publish_postgres(settings)


def test_missing_rights_are_told(settings: Settings, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_rows(settings, "first", 5)
    with server.connect() as admin:
        admin.execute("create role guest login")
    monkeypatch.setenv("STRATA_POSTGRES", server.url(server.new_database(), "guest"))
    with pytest.raises(StrataError, match=r"(?s)permission denied for database.*grant create on database"):
        publish_postgres(settings)


@pytest.mark.parametrize(
    ("told", "error", "message"),
    [
        ("postgresql://me:secret@127.0.0.1:1/shop", RetryableError, "host=127.0.0.1 port=1 dbname=shop user=me"),
        ("host=127.0.0.1 port=1 password=secret dbname=shop", RetryableError, "Start the server or correct"),
        ("postgresql://me:secret%zz@127.0.0.1/shop", StrataError, "is no connection string"),
        ("secret", StrataError, "is no connection string"),
    ],
)
def test_a_server_that_is_away_is_told_without_the_password(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, told: str, error: type[Exception], message: str
) -> None:
    publish_rows(settings, "first", 5)
    monkeypatch.setenv("STRATA_POSTGRES", told)
    with pytest.raises(error, match=message) as raised:
        publish_postgres(settings)
    chain = [raised.value, raised.value.__cause__, raised.value.__context__]
    assert not [one for one in chain if "secret" in str(one)]


def test_a_rollback_reaches_postgresql_or_changes_nothing(
    settings: Settings, server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id, rows in (("first", 5), ("second", 6)):
        publish_rows(settings, run_id, rows)
        publish_postgres(settings)
    with monkeypatch.context() as away:
        away.setenv("STRATA_POSTGRES", "postgresql://127.0.0.1:1/shop")
        with pytest.raises(RetryableError):
            rollback(settings)
    assert current(settings)["run_id"] == "second"
    rollback(settings)
    assert current(settings)["run_id"] == "first"
    with server.connect(database) as connection:
        assert connection.execute("select run_id from quality._publication").fetchone() == ("first",)
        assert connection.execute("select count(*) from marts.customers").fetchone() == (5,)


NOW = datetime(2025, 3, 12, 12)


@pytest.fixture(scope="module")
def books(home: Path) -> Rehearsal:
    """A shop with real marts, published as files."""
    books = Rehearsal(home, "to_postgresql")
    hostile.draw_plan(seed=5, people=30, messages_per_day=20).deliver(books.raw, NOW)
    assert books.refresh(NOW).published
    return books


def test_a_refresh_loads_what_is_missing_also_when_nothing_is_new(
    books: Rehearsal, server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        away.setenv("STRATA_POSTGRES", "postgresql://127.0.0.1:1/shop")
        with pytest.raises(RetryableError):
            books.refresh(NOW)
    assert books.refresh(NOW).published is None, "what was published as files is not published again"

    path = books.settings.published / "strata.duckdb"
    with server.connect(database) as connection, duckdb.connect(str(path), read_only=True) as db:
        tables = db.execute("select schema_name || '.' || table_name from duckdb_tables() where schema_name <> 'main'")
        counts = {}
        for (table,) in tables.fetchall():
            sums = [
                f"sum({name})" for name, kind, *_ in db.execute(f"describe from {table}").fetchall()
                if kind.startswith("DECIMAL")
            ]  # fmt: skip
            counted = f"select {', '.join(['count(*)', *sums])} from {table}"
            counts[table] = db.execute(counted).fetchone()
            assert connection.execute(counted).fetchone() == counts[table], table
        assert counts["marts.orders"][0] > 30
        constraints = connection.execute(
            "select conrelid::regclass::text, pg_get_constraintdef(oid) from pg_constraint where contype in ('p', 'f')"
        ).fetchall()
        indexed = connection.execute("select tablename, indexdef from pg_indexes where schemaname = 'marts'").fetchall()
    assert {
        ("marts.customers", "PRIMARY KEY (customer_id)"),
        ("marts.customer_snapshots", "PRIMARY KEY (snapshot_date, customer_id)"),
        ("marts.orders", "FOREIGN KEY (customer_id) REFERENCES marts.customers(customer_id)"),
        ("marts.order_items", "FOREIGN KEY (product_id) REFERENCES marts.products(product_id)"),
        ("marts.micro_segments", "FOREIGN KEY (macro_segment) REFERENCES marts.macro_segments(macro_segment)"),
    } <= set(constraints)
    assert {table for table in counts if table.startswith("marts.")} == {
        table for table, constraint in constraints if table.startswith("marts.") and constraint.startswith("PRIMARY")
    }
    assert any(table == "orders" and "(order_date, order_id)" in index for table, index in indexed)
    assert any(table == "orders" and "(customer_id)" in index for table, index in indexed)


@pytest.mark.slow
def test_nobody_is_forgotten_while_somebody_reads_what_held_them(
    books: Rehearsal, server: Server, database: str
) -> None:
    books.refresh(NOW)
    with server.connect(database) as reader:
        [(customer,)] = reader.execute("select min(customer_id) from marts.orders").fetchall()
        reader.execute("begin")
        reader.execute("select from marts.orders")
        more = {"confirm": lambda plan: True, "own_raw": True, "now": NOW.replace(tzinfo=UTC), "progress": False}
        with pytest.raises(StrataError, match="Somebody still reads earlier publications in PostgreSQL: marts_old_"):
            forget(books.settings, customer, **more)
        reader.execute("commit")
        assert reader.execute("select from marts.orders where customer_id = %s", [customer]).rowcount == 0
        forget(books.settings, None, **more)
    assert replaced_schemas() == []
