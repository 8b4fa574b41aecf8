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
import pyarrow.parquet as pq
import pytest

from orchestration import publish as publishing
from orchestration.errors import StrataError
from orchestration.lock import writer_lock
from orchestration.publish import current, publish
from orchestration.rollback import rollback
from orchestration.settings import PROJECT_DIR, Settings
from toy_publication import a_manifest, link, model, publish_demo, query, write_warehouse

STORAGE_NUMBER_OF_1_2 = 65  # the format's number in the header of a file that DuckDB 1.2 can read


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.of("demo", home=tmp_path / "a folder with spaces and a ' quote")


def names(settings: Settings) -> list[str]:
    """The links, and the parts of each run."""
    folder = settings.published
    parts = [part for pattern in ("*", "runs/*", "runs/*/*") for part in folder.glob(pattern) if part.name != "runs"]
    return sorted(str(part.relative_to(folder)) for part in parts if part.parent.name != "runs" or not part.is_dir())


def write_atlas(publication: Path, target: Path) -> None:
    """A page that says which run it is of."""
    with duckdb.connect(str(publication), read_only=True) as connection:
        [(run_id,)] = connection.execute("select run_id from main._publication").fetchall()
    target.write_text(f"atlas of {run_id}")


def test_it_publishes_the_marts_and_nothing_else(settings: Settings) -> None:
    write_warehouse(settings)
    publication = publish_demo(settings)
    assert publication.path == settings.published / "runs" / "first" / "strata.duckdb"
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
    assert names(settings) == ["parquet", "runs/first/parquet", "runs/first/strata.duckdb", "strata.duckdb"]
    assert os.readlink(link(settings)) == "runs/first/strata.duckdb", "relative, so that the folder can be moved"


def test_the_database_has_the_same_name_in_every_publication(settings: Settings) -> None:
    write_warehouse(settings)
    for run in ("first", "second"):
        publish_demo(settings, run)
        assert query(settings, "select current_database(), run_id from strata.main._publication") == [("strata", run)]


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
    """The links and the files of all runs, each with its inode and the time of its last change."""
    found = ((file, file.lstat()) for file in settings.published.rglob("*") if file.is_symlink() or file.is_file())
    return {str(file): (state.st_ino, state.st_mtime_ns) for file, state in found}


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
    assert_refused(settings, a_manifest(), "has 5 rows in the warehouse and 4 in the new DuckDB file")


def test_the_same_run_is_not_published_twice(settings: Settings) -> None:
    write_warehouse(settings)
    publish_demo(settings)
    with pytest.raises(StrataError, match="already published"):
        publish_demo(settings)


def test_the_parts_of_a_publication_come_go_and_are_rolled_back_together(settings: Settings) -> None:
    write_warehouse(settings)
    for run in ("z", "y", "x", "w"):
        publish_demo(settings, run, facts={"as_of": f"the day of {run}"})
        publishing.add_atlas(settings, write_atlas)
    parts = ("atlas.html", "parquet", "strata.duckdb")
    kept = [f"runs/{run}/{part}" for run in ("w", "x", "y") for part in parts]
    assert names(settings) == sorted([*parts, *kept])
    assert [os.readlink(settings.published / part) for part in parts] == [f"runs/w/{part}" for part in parts]

    # A newer publication whose atlas is still to be made: the older one is better than none, and older than the marts.
    publish_demo(settings, "v", facts={"as_of": "the day of v"})
    assert (settings.published / "atlas.html").read_text() == "atlas of w"

    for run in ("w", "x"):
        left, now = rollback(settings)
        assert (left, now["run_id"], now["as_of"]) == ("v" if run == "w" else "w", run, f"the day of {run}")
        assert current(settings)["run_id"] == run
        assert os.readlink(settings.published / "parquet") == f"runs/{run}/parquet"
        assert (settings.published / "atlas.html").read_text() == f"atlas of {run}"
    before = files(settings)
    with pytest.raises(StrataError, match="no older publication is kept"):
        rollback(settings)
    assert files(settings) == before

    # What readers see stays, whatever its age.
    publishing.remove_old(settings, keep=1)
    assert publishing.kept_runs(settings) == ["v", "x"]


def test_a_rollback_does_not_leave_the_atlas_of_what_it_takes_back(settings: Settings) -> None:
    write_warehouse(settings)
    for run in ("first", "second"):
        publish_demo(settings, run, facts={"as_of": run})
    publishing.add_atlas(settings, write_atlas)
    rollback(settings)
    assert "atlas.html" not in names(settings)


def test_nothing_can_be_rolled_back_where_nothing_is_published(settings: Settings) -> None:
    with pytest.raises(StrataError, match="make refresh DATASET=demo"):
        rollback(settings)


def test_a_broken_publication_can_be_rolled_back_from_and_not_to(settings: Settings) -> None:
    write_warehouse(settings)
    for run in ("first", "second", "third"):
        publish_demo(settings, run, facts={"as_of": run})

    def spoil(run: str) -> Path:
        path = publishing.run_folder(settings, run) / "strata.duckdb"
        written = path.stat().st_mtime_ns
        path.chmod(0o644)
        os.truncate(path, 4096)
        os.utime(path, ns=(written, written))
        return path

    spoil("third")
    assert rollback(settings)[0] == "third"
    assert current(settings)["run_id"] == "second"
    spoiled = spoil("first")
    with pytest.raises(StrataError, match=r"nothing was changed: .*first/strata\.duckdb can't be read"):
        rollback(settings)
    assert current(settings)["run_id"] == "second"
    spoiled.unlink()
    (publishing.run_folder(settings, "second") / "strata.duckdb").unlink()
    with pytest.raises(StrataError, match=r"third/strata\.duckdb can't be read"):
        rollback(settings)


def test_parquet_has_the_rows_of_the_file_in_its_order(settings: Settings) -> None:
    write_warehouse(settings, rows=300_000)  # several row groups
    publish_demo(settings)
    path = settings.published / "parquet" / "marts" / "customers.parquet"
    table = pq.read_table(path)
    rows = query(settings, "from marts.customers")
    assert list(zip(*(column.to_pylist() for column in table.columns), strict=True)) == rows
    assert table.schema.names == ["order", "customer_id", "generation"]
    assert str(table.schema.field("order").type) == "decimal128(18, 2)"
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"
    assert path.stat().st_mode & 0o777 == 0o444
    assert (path.parents[1] / "quality" / "message_ledger.parquet").is_file()


def test_parquet_that_lost_rows_is_thrown_away(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write_warehouse(settings)
    publish_demo(settings)
    write = publishing._write_parquet

    def lose_a_row(connection: duckdb.DuckDBPyConnection, marts: Any, folder: Path) -> None:
        write(connection, marts, folder)
        path = folder / "marts" / "customers.parquet"
        pq.write_table(pq.read_table(path).slice(1), path)

    monkeypatch.setattr(publishing, "_write_parquet", lose_a_row)
    assert_refused(settings, a_manifest(), "has 5 rows in the warehouse and 4 in the new Parquet file")


def proof(name: str, model: str, **more: Any) -> dict[str, Any]:
    """A generic test of a model, as dbt's manifest has it."""
    arguments, config = more.pop("arguments", {}), more.pop("config", {"severity": "ERROR"})
    return {
        "resource_type": "test", "schema": "tests", "name": name, "config": config, "attached_node": model,
        "test_metadata": {"name": name, "kwargs": arguments}, **more,
    }  # fmt: skip


def test_keys_and_joins_are_what_tests_prove_of_every_row(settings: Settings) -> None:
    customers, ledger = "model.strata.customers", "model.strata.message_ledger"
    write_warehouse(settings)
    manifest = a_manifest()
    unique = {"arguments": {"columns": ["customer_id"]}}
    joins = {
        "arguments": {"field": "customer_id"}, "column_name": "generation",
        "depends_on": {"nodes": [customers, ledger]},
    }  # fmt: skip
    tests = {
        "key": proof("unique_combination", customers, **unique),
        "warns": proof("unique_combination", ledger, **unique, config={"severity": "warn"}),
        "some_rows": proof("relationships", ledger, **joins, config={"where": "is_current"}),
        "no_key": proof("relationships", ledger, **joins | {"arguments": {"field": "order"}}),
    }
    manifest["nodes"] |= tests
    publish(settings, manifest=manifest, run_id="first")
    facts = current(settings)
    assert facts["keys"] == {"marts.customers": ["customer_id"], "quality.message_ledger": []}
    assert facts["references"] == {"marts.customers": {}, "quality.message_ledger": {}}
    manifest["nodes"]["join"] = proof("relationships", ledger, **joins)
    publish(settings, manifest=manifest, run_id="second")
    assert current(settings)["references"]["quality.message_ledger"] == {"generation": "marts.customers"}


KILLED_WHILE_PUBLISHING = """
import os, signal, sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from orchestration import publish as publishing
from orchestration.settings import Settings
from toy_publication import a_manifest
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
    (settings.published / ".strata.duckdb.tmp").symlink_to("runs/killed/strata.duckdb")
    (settings.published / "runs" / "first" / ".atlas.html.tmp").write_text("half a page")
    assert (settings.published / "runs" / ".killed.tmp" / "strata.duckdb").exists()
    assert current(settings)["run_id"] == "first"
    publish_demo(settings, "second")
    assert names(settings) == [
        *("parquet", "runs/first/parquet", "runs/first/strata.duckdb"),
        *("runs/second/parquet", "runs/second/strata.duckdb", "strata.duckdb"),
    ]


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
