"""What readers are promised: a complete file or the one before it, described, plain, without personal data."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration import publish as publishing
from orchestration.errors import StrataError
from orchestration.lock import writer_lock
from orchestration.publish import Publication, current, publish
from orchestration.settings import PROJECT_DIR, Settings

STORAGE_NUMBER_OF_1_2 = 65  # the format's number in the header of a file that DuckDB 1.2 can read


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.of("demo", home=tmp_path / "a folder with spaces and a ' quote")


def write_warehouse(settings: Settings, rows: int = 5, extra: str = "") -> None:
    """Two marts and a table behind them; `generation` is the same in every row of both marts."""
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    settings.warehouse.unlink(missing_ok=True)
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute(
            f"""
            create schema marts;
            create schema quality;
            create schema intermediate;
            create table marts.customers as
                select i as customer_id, {rows} as generation, cast(i as decimal(18, 2)) as "order"
                from range({rows}) as t (i) order by hash(i);
            create table quality.message_ledger as
                select date '2026-01-01' as received_date, {rows} as generation from range({rows});
            create table intermediate.int_people as select 'a@example.com' as email;
            {extra}
            """
        )


def model(schema: str, name: str, *columns: str, **more: Any) -> dict[str, Any]:
    return {
        "resource_type": "model",
        "schema": schema,
        "name": name,
        "alias": name,
        "description": f"It's {name}. One row per thing.",
        "columns": {column: {"name": column, "description": f"The {column}, described."} for column in columns},
        **more,
    }


def a_manifest() -> dict[str, Any]:
    nodes = [
        model(
            "marts",
            "customers",
            "order",
            "customer_id",
            "generation",
            config={"meta": {"publication_order": ["customer_id"]}},
        ),
        model("quality", "message_ledger", "received_date", "generation"),
        model("intermediate", "int_people", "email"),
        {"resource_type": "test", "schema": "marts", "name": "unique_customers"},
    ]
    return {
        "metadata": {"dbt_version": "1.11.0"},
        "nodes": {f"{node['resource_type']}.strata.{node['name']}": node for node in nodes},
    }


def publish_demo(settings: Settings, run_id: str = "first", **more: Any) -> Publication:
    return publish(settings, manifest=a_manifest(), run_id=run_id, **more)


def link(settings: Settings) -> Path:
    return settings.published / "strata.duckdb"


def query(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(os.path.realpath(link(settings)), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_it_publishes_the_marts_and_nothing_else(settings: Settings) -> None:
    write_warehouse(settings)
    publication = publish_demo(settings)
    assert publication.path == settings.published / "strata-first.duckdb"
    assert publication.row_counts == {"marts.customers": 5, "quality.message_ledger": 5}
    assert publication.seconds > 0
    tables = query(settings, "select schema_name, table_name from duckdb_tables() order by all")
    assert tables == [("main", "_publication"), ("marts", "customers"), ("quality", "message_ledger")]


def test_columns_are_in_the_order_of_the_yml_and_rows_sorted(settings: Settings) -> None:
    write_warehouse(settings, rows=50)
    with duckdb.connect(str(settings.warehouse)) as connection:
        ids = [row[0] for row in connection.execute("select customer_id from marts.customers").fetchall()]
    assert ids != sorted(ids), "the warehouse must be unsorted, or the test shows nothing"
    publish_demo(settings)
    assert query(settings, "from marts.customers") == [(i, i, 50) for i in range(50)]


def test_every_table_and_column_is_described_in_the_file(settings: Settings) -> None:
    write_warehouse(settings)
    publish_demo(settings)
    assert query(settings, "select comment from duckdb_tables() where table_name = 'customers'") == [
        ("It's customers. One row per thing.",)
    ]
    assert query(settings, "select column_name, comment from duckdb_columns() where table_name = 'customers'") == [
        (name, f"The {name}, described.") for name in ("order", "customer_id", "generation")
    ]


def test_the_file_can_be_read_by_older_clients_and_not_be_written(settings: Settings) -> None:
    write_warehouse(settings)
    path = publish_demo(settings).path
    header = path.read_bytes()[:20]
    assert header[8:12] == b"DUCK"
    assert struct.unpack("<Q", header[12:20]) == (STORAGE_NUMBER_OF_1_2,)
    assert path.stat().st_mode & 0o777 == 0o444
    assert sorted(file.name for file in settings.published.iterdir()) == ["strata-first.duckdb", "strata.duckdb"]
    assert os.readlink(link(settings)) == "strata-first.duckdb", "relative, so that the folder can be moved"


def test_the_facts_of_the_publication_can_be_read_back(settings: Settings) -> None:
    assert current(settings) is None
    write_warehouse(settings)
    facts = {
        "as_of": date(2026, 10, 31),
        "rules_version": "abc",
        "checks_passed": 120,
        "is_full": True,
        "spent_seconds": 1.5,
        "started_at": datetime(2026, 11, 1, 6, 30),
        "nothing": None,
        "snapshots": ["2026-09-30", "2026-10-31"],
    }
    publish_demo(settings, facts=facts)
    found = current(settings)
    assert found is not None
    assert {name: found[name] for name in facts} == facts
    assert found["run_id"] == "first"
    assert found["dbt_version"] == "1.11.0"
    assert found["duckdb_version"] == duckdb.__version__
    assert found["row_counts"] == {"marts.customers": 5, "quality.message_ledger": 5}
    assert isinstance(found["published_at"], datetime)


def private_tag_on_column(manifest: dict[str, Any]) -> None:
    manifest["nodes"]["model.strata.customers"]["columns"]["order"]["config"] = {"tags": ["PII"]}


def private_meta_on_column(manifest: dict[str, Any]) -> None:
    manifest["nodes"]["model.strata.customers"]["columns"]["order"]["meta"] = {"pii": True}


def private_tag_on_model(manifest: dict[str, Any]) -> None:
    manifest["nodes"]["model.strata.customers"]["tags"] = ["pii"]


def private_tag_below_the_marts(manifest: dict[str, Any]) -> None:
    manifest["nodes"]["model.strata.int_people"]["columns"]["order"] = {"name": "order", "meta": {"pii": True}}


def no_column_description(manifest: dict[str, Any]) -> None:
    manifest["nodes"]["model.strata.customers"]["columns"]["order"]["description"] = " "


def no_model_description(manifest: dict[str, Any]) -> None:
    manifest["nodes"]["model.strata.customers"]["description"] = ""


def undescribed_column(manifest: dict[str, Any]) -> None:
    del manifest["nodes"]["model.strata.customers"]["columns"]["order"]


def column_that_is_not_there(manifest: dict[str, Any]) -> None:
    manifest["nodes"]["model.strata.customers"]["columns"]["gone"] = {"name": "gone", "description": "Gone."}


def ordered_by_nothing(manifest: dict[str, Any]) -> None:
    manifest["nodes"]["model.strata.customers"]["config"]["meta"]["publication_order"] = ["nowhere"]


def missing_mart(manifest: dict[str, Any]) -> None:
    manifest["nodes"]["model.strata.orders"] = model("marts", "orders", "order_id")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (private_tag_on_column, r"marts\.customers\.order is tagged as personal data"),
        (private_meta_on_column, r"marts\.customers\.order is tagged as personal data"),
        (private_tag_on_model, r"marts\.customers\.customer_id is tagged as personal data"),
        (private_tag_below_the_marts, r"marts\.customers\.order is tagged as personal data in int_people"),
        (no_column_description, r"marts\.customers\.order has no description"),
        (undescribed_column, r"marts\.customers\.order has no description"),
        (no_model_description, r"marts\.customers has no description"),
        (column_that_is_not_there, r"marts\.customers\.gone is described but not in the table"),
        (ordered_by_nothing, r"marts\.customers is to be ordered by 'nowhere'"),
        (missing_mart, r"marts\.orders is a model but not a table"),
    ],
)
def test_a_fault_in_the_project_is_refused(settings: Settings, spoil: Any, message: str) -> None:
    write_warehouse(settings)
    publish_demo(settings)
    manifest = a_manifest()
    spoil(manifest)
    assert_refused(settings, manifest, message)


@pytest.mark.parametrize(
    ("value", "is_private"),
    [
        ("ann@example.com", True), ("ANN+tag@Example.COM", True), ("+49 30 123456", True), ("(030) 12345-67", True),
        ("+491701234567", True), ("id-dd6567a35ee7afce300b11d795a6d905", False), ("4930123456", False),
        ("Bread @ 2 for 1", False), ("write to ann@example.com", False), ("@ann", False), ("+5", False),
        ("(none)", False), ("(2) of them", False),
    ],
)  # fmt: skip
def test_a_value_that_is_an_address_or_a_telephone_number_is_refused(
    settings: Settings, value: str, is_private: bool
) -> None:
    write_warehouse(settings, extra=f"alter table marts.customers add column note varchar default '{value}'")
    manifest = a_manifest()
    note = {"name": "note", "description": "A note."}
    manifest["nodes"]["model.strata.customers"]["columns"]["note"] = note
    if not is_private:
        publish(settings, manifest=manifest, run_id="first")
        return
    with pytest.raises(StrataError, match=r"marts\.customers\.note holds e-mail addresses .* \(5\)") as refused:
        publish(settings, manifest=manifest, run_id="first")
    assert value not in str(refused.value)
    note["config"] = {"meta": {"pii": False}}
    publish(settings, manifest=manifest, run_id="first")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("'x' as email", "email has the name of personal data"),
        ("'x' as Billing_Email", "Billing_Email has the name of personal data"),
        ("'x' as last_ip_address", "last_ip_address has the name of personal data"),
        ("'x' as anonymous_id", "anonymous_id has the name of personal data"),
        ("[1] as numbers", r"numbers is INTEGER\[\]"),
        ("{'a': 1} as pair", r"pair is STRUCT\(a INTEGER\)"),
        ("map {'a': 1} as pairs", r"pairs is MAP\(VARCHAR, INTEGER\)"),
        ("cast(1 as hugeint) as big", "big is HUGEINT"),
        ("cast(1 as decimal(19, 2)) as money", r"money is DECIMAL\(19,2\)"),
        ("'{}'::json as payload", "payload is JSON"),
    ],
)
def test_a_column_that_readers_must_not_or_can_not_read_is_refused(
    settings: Settings, column: str, message: str
) -> None:
    write_warehouse(settings)
    publish_demo(settings)
    write_warehouse(settings, extra=f"create table marts.extra as select {column};")
    manifest = a_manifest()
    manifest["nodes"]["model.strata.extra"] = model("marts", "extra", column.rsplit(" as ", 1)[1])
    assert_refused(settings, manifest, message)


def files(settings: Settings) -> dict[str, tuple[int, int]]:
    return {file.name: (file.lstat().st_ino, file.lstat().st_mtime_ns) for file in settings.published.iterdir()}


def assert_refused(settings: Settings, manifest: dict[str, Any], message: str) -> None:
    before = files(settings)
    with pytest.raises(StrataError, match=message):
        publish(settings, manifest=manifest, run_id="second")
    assert files(settings) == before
    assert current(settings)["run_id"] == "first"


@pytest.mark.parametrize(
    "column",
    [
        *("customer_id", "is_email_contactable", "emails_opened", "email_contactable_customers", "micro_segment"),
        *("product_name", "campaign_name", "device_type", "country", "region", "relationship", "store_id", "sessions"),
    ],
)
def test_names_that_only_resemble_personal_data_pass(settings: Settings, column: str) -> None:
    write_warehouse(settings, extra=f"create table marts.extra as select 1 as {column};")
    manifest = a_manifest()
    manifest["nodes"]["model.strata.extra"] = model("marts", "extra", column)
    assert publish(settings, manifest=manifest, run_id="first").row_counts["marts.extra"] == 1


def test_all_faults_are_told_at_once(settings: Settings) -> None:
    write_warehouse(settings)
    manifest = a_manifest()
    no_model_description(manifest)
    missing_mart(manifest)
    with pytest.raises(StrataError, match=r"(?s)customers has no description.*orders is a model but not a table"):
        publish(settings, manifest=manifest, run_id="first")


def test_a_project_without_marts_is_refused(settings: Settings) -> None:
    write_warehouse(settings)
    with pytest.raises(StrataError, match="nothing to publish"):
        publish(settings, manifest={"nodes": {}}, run_id="first")


def test_no_warehouse_is_told(settings: Settings) -> None:
    with pytest.raises(StrataError, match="make refresh DATASET=demo"):
        publish_demo(settings)


def test_a_warehouse_that_somebody_writes_is_told(settings: Settings) -> None:
    write_warehouse(settings)
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(settings.warehouse)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout.readline() == b"open\n"
        with pytest.raises(StrataError, match="Close the program that has it open"):
            publish_demo(settings)
        writer.stdin.close()


def test_a_copy_that_lost_rows_is_thrown_away(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write_warehouse(settings)
    publish_demo(settings)
    count = publishing._count
    monkeypatch.setattr(publishing, "_count", lambda c, relation: count(c, relation) - relation.startswith("written"))
    assert_refused(settings, a_manifest(), "has 5 rows in the warehouse and 4 in the new file")


def test_the_same_run_is_not_published_twice(settings: Settings) -> None:
    write_warehouse(settings)
    publish_demo(settings)
    with pytest.raises(StrataError, match="already published"):
        publish_demo(settings)


def test_the_last_three_files_stay(settings: Settings) -> None:
    write_warehouse(settings)
    for run in ("z", "y", "x", "w"):
        publish_demo(settings, run)
    names = sorted(file.name for file in settings.published.glob("strata-*"))
    assert names == ["strata-w.duckdb", "strata-x.duckdb", "strata-y.duckdb"]
    assert current(settings)["run_id"] == "w"


def test_the_file_that_readers_see_is_never_removed(settings: Settings) -> None:
    write_warehouse(settings)
    publish_demo(settings, "a")
    publish_demo(settings, "b", keep=0)
    assert [file.name for file in settings.published.glob("strata-*")] == ["strata-b.duckdb"]
    assert current(settings)["run_id"] == "b"


KILLED_WHILE_PUBLISHING = """
import os, signal, sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from orchestration import publish as publishing
from test_publish import Settings, a_manifest
publishing._verify = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
publishing.publish(Settings.of("demo", home=Path(sys.argv[3])), manifest=a_manifest(), run_id="killed")
"""


def test_a_killed_publication_leaves_no_trace_after_the_next(settings: Settings) -> None:
    write_warehouse(settings)
    publish_demo(settings)
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            KILLED_WHILE_PUBLISHING,
            str(PROJECT_DIR),
            str(Path(__file__).parent),
            str(settings.home),
        ],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    (settings.published / ".strata.duckdb.tmp").symlink_to("strata-killed.duckdb")
    assert (settings.published / ".strata-killed.duckdb.tmp").exists()
    assert current(settings)["run_id"] == "first"
    publish_demo(settings, "second")
    names = sorted(file.name for file in settings.published.iterdir())
    assert names == ["strata-first.duckdb", "strata-second.duckdb", "strata.duckdb"]


def test_readers_always_see_one_whole_publication(settings: Settings) -> None:
    """Generations n and n + 1 differ in every table: a reader that mixes them, or meets an error, is caught."""
    write_warehouse(settings, rows=1)
    publish_demo(settings, "run-1")
    stop, seen, torn = threading.Event(), [], []

    def read() -> None:
        while not stop.is_set() or not seen:
            with duckdb.connect(str(link(settings)), read_only=True) as connection:
                state = connection.execute(
                    """
                    select
                        (select run_id from main._publication),
                        (select max(generation) from marts.customers), (select count(*) from marts.customers),
                        (select max(generation) from quality.message_ledger),
                        (select count(*) from quality.message_ledger)
                    """
                ).fetchone()
            seen.append(state)
            if state != (f"run-{state[1]}", *[state[1]] * 4):
                torn.append(state)

    failures: list[BaseException] = []

    def reader() -> None:
        try:
            read()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for generation in range(2, 9):
            write_warehouse(settings, rows=generation)
            publish_demo(settings, f"run-{generation}")
    finally:
        time.sleep(0.2)
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert torn == []
    assert {state[0] for state in seen} >= {"run-8"}
    assert len({state[0] for state in seen}) >= 3, "the readers were too slow to meet a swap"


HOLD_THE_LOCK = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from orchestration.lock import writer_lock
from orchestration.settings import Settings
with writer_lock(Settings.of("demo", home=Path(sys.argv[2]))):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(settings: Settings):
    """Another process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(PROJECT_DIR), str(settings.home)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_held_lock_is_waited_for_and_then_told(
    settings: Settings, holder: subprocess.Popen, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        pytest.raises(StrataError, match=rf"(?s)process {holder.pid}, started 20\d\d-.*kill {holder.pid}"),
        writer_lock(settings, timeout_seconds=0.3),
    ):
        pytest.fail("two writers at once")
    assert f"process {holder.pid}, started 20" in capsys.readouterr().err


def test_a_killed_holder_does_not_block_the_next(settings: Settings, holder: subprocess.Popen) -> None:
    timer = threading.Timer(0.3, holder.kill)
    timer.start()
    started = time.monotonic()
    with writer_lock(settings, timeout_seconds=30):
        assert 0.2 < time.monotonic() - started < 10, "it must have waited for the holder, and no longer"
    timer.join()


def test_the_lock_is_free_again_after_use_and_after_an_error(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyError), writer_lock(settings, timeout_seconds=0):
        raise KeyError
    with writer_lock(settings, timeout_seconds=0):
        pass
    assert capsys.readouterr().err == ""


def test_datasets_do_not_wait_for_each_other(settings: Settings) -> None:
    with writer_lock(settings), writer_lock(Settings.of("other", home=settings.home), timeout_seconds=0):
        pass
