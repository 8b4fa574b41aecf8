"""The storage that `make dev` configures: the same history as Dagster's own, by processes at once, in bursts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import (
    AssetCheckKey,
    AssetCheckResult,
    AssetKey,
    DagsterEventType,
    DagsterInstance,
    DailyPartitionsDefinition,
    Definitions,
    MaterializeResult,
    asset,
    asset_check,
    define_asset_job,
)
from sqlalchemy.exc import ObjectNotExecutableError

from orchestration.dagster_storage import EventLog
from orchestration.settings import PROJECT_DIR

ASSET_EVENTS = (DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
#: Four processes write at the same time, each a run of its own.
WRITER = """
import sys
sys.path[:0] = sys.argv[1:3]
from dagster import DagsterInstance
from test_dagster_storage import JOBS
job = JOBS.resolve_job_def("all")
with DagsterInstance.get() as instance:
    for _ in range(5):
        assert job.execute_in_process(instance=instance, partition_key="2026-01-02").success
"""


@asset(partitions_def=DailyPartitionsDefinition("2026-01-01", "2026-01-03"), tags={"kind": "first"})
def first() -> MaterializeResult:
    return MaterializeResult(metadata={"rows": 3})


@asset(deps=[first])
def second() -> None:
    return None


@asset_check(asset=second)
def is_good() -> AssetCheckResult:
    return AssetCheckResult(passed=False, metadata={"found": 1})


JOBS = Definitions(assets=[first, second], asset_checks=[is_good], jobs=[define_asset_job("all")])


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    """An instance by orchestration/dagster.yaml."""
    shutil.copy(PROJECT_DIR / "orchestration" / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with DagsterInstance.get() as found:
        assert isinstance(found.event_log_storage, EventLog)
        yield found


def history(instance: DagsterInstance, run_id: str) -> tuple[list, ...]:
    """What an instance remembers of a run, and of the assets and the check."""
    records = [instance.get_latest_materialization_event(AssetKey(key)) for key in ("first", "second")]
    checks = instance.event_log_storage.get_asset_check_execution_history(
        AssetCheckKey(AssetKey("second"), "is_good"), limit=10
    )
    return (
        [entry.dagster_event.event_type_value for entry in instance.all_logs(run_id) if entry.dagster_event],
        [(one.asset_materialization.partition, sorted(one.asset_materialization.metadata)) for one in records],
        [(one.status.value, one.run_id == run_id, one.event is not None) for one in checks],
        sorted(instance.get_materialized_partitions(AssetKey("first"))),
        sorted("/".join(key.path) for key in instance.all_asset_keys()),
    )


def test_the_history_is_the_one_that_dagster_s_own_log_keeps(instance: DagsterInstance) -> None:
    job = JOBS.resolve_job_def("all")
    with DagsterInstance.local_temp() as usual:
        found = [
            history(each, job.execute_in_process(instance=each, partition_key="2026-01-02").run_id)
            for each in (instance, usual)
        ]
    assert found[0] == found[1]
    assert found[0][0].count("ASSET_MATERIALIZATION") == 2
    assert found[0][2] == [("FAILED", True, True)]
    instance.wipe()
    assert instance.get_latest_materialization_event(AssetKey("first")) is None
    assert history(instance, job.execute_in_process(instance=instance, partition_key="2026-01-02").run_id) == found[0]


def test_processes_that_write_at_once_lose_nothing(instance: DagsterInstance) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", WRITER, str(Path(__file__).parent), str(PROJECT_DIR)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    said = [writer.communicate()[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 4, "\n".join(said)[-3000:]
    runs = instance.get_runs()
    assert len(runs) == 20
    counts = {len(instance.all_logs(run.run_id)) for run in runs}
    assert len(counts) == 1, "every run has all its events"
    found = instance.fetch_materializations(AssetKey("second"), limit=100).records
    assert {one.run_id for one in found} == {run.run_id for run in runs}


def test_a_batch_is_stored_as_a_whole_or_not_at_all(instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster tries one by one what it couldn't store at once: nothing may be there twice then."""
    job = JOBS.resolve_job_def("all")
    done = job.execute_in_process(instance=instance, partition_key="2026-01-01")
    log = instance.event_log_storage
    assert isinstance(log, EventLog)
    events = [entry for entry in instance.all_logs(done.run_id) if entry.dagster_event_type in ASSET_EVENTS]
    prepare = log.prepare_insert_event
    monkeypatch.setattr(log, "prepare_insert_event", lambda event: None if event is events[-1] else prepare(event))
    with pytest.raises(ObjectNotExecutableError):
        log.store_event_batch(events)
    monkeypatch.undo()
    before = len(instance.all_logs(done.run_id))
    assert len(instance.fetch_materializations(AssetKey("first"), limit=100).records) == 1
    log.store_event_batch(events)
    assert len(instance.all_logs(done.run_id)) == before + len(events)
    assert len(instance.fetch_materializations(AssetKey("first"), limit=100).records) == 2
