"""Dagster: what `make refresh` does, as assets and checks, on a schedule. `make dev` opens it.

Every step calls the function that the command line calls, each under the same lock of the operating system, and leaves
a whole state behind: whatever comes between two steps finds either the old figures or the new ones.

Environment: DATASET; RAW and RULES where its messages and rules lie elsewhere; and who is told of failures (alerts.py).
"""

import gc
import hashlib
import json
import os
import queue
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckKey,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    AssetSelection,
    BackfillPolicy,
    BetaWarning,
    Config,
    DagsterRunStatus,
    DailyPartitionsDefinition,
    DefaultSensorStatus,
    Definitions,
    Failure,
    MaterializeResult,
    RetryRequested,
    RunFailureSensorContext,
    RunRequest,
    RunsFilter,
    ScheduleEvaluationContext,
    SensorEvaluationContext,
    SkipReason,
    asset,
    asset_check,
    define_asset_job,
    in_process_executor,
    multi_asset_check,
    run_failure_sensor,
    schedule,
    sensor,
)

# dagster_dbt reads the manifest with dbt or, where that is not installed, without: it is told that dbt is not, since
# importing it takes seconds in each of Dagster's processes, and none but a refresh needs it.
IS_DBT_LOADED = "dbt.version" in sys.modules
if not IS_DBT_LOADED:
    sys.modules["dbt.version"] = None  # type: ignore[assignment]
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets
from dagster_dbt.asset_utils import get_asset_check_key_for_test

if not IS_DBT_LOADED:
    del sys.modules["dbt.version"]
# What Dagster is made of stays until the process ends: looked through for garbage then, it takes a second.
gc.freeze()

import duckdb

from orchestration import alerts, checks, datasets, dbt, publish, raw_files
from orchestration.errors import RetryableError, StrataError
from orchestration.lock import is_locked
from orchestration.refresh import (
    Stopwatch,
    build,
    is_served,
    publish_atlas,
    publish_to_postgres,
    publish_warehouse,
    take_in,
    writing,
)
from orchestration.rules import find_folder, read_rules
from orchestration.settings import Settings

DATASET = os.environ.get("DATASET") or "demo"
RAW = os.environ.get("RAW") or None
RULES = os.environ.get("RULES") or None
SETTINGS = Settings.of(DATASET, RAW)
VARIABLES, RULES_FOLDER = datasets.configuration_of(DATASET) if RAW is None else ({}, "")
TIMEZONE = dbt.business_variables(VARIABLES)["business_timezone"]


def first_day() -> date:
    """The first received date that the manifest knows; before the first refresh, the day before yesterday."""
    _, files = raw_files.read_manifest(SETTINGS)
    yesterday = datetime.now(ZoneInfo(TIMEZONE)).date() - timedelta(days=1)
    return min(
        (file.received_dates(TIMEZONE, yesterday)[0] for file in files if file.first_posted_at),
        default=yesterday - timedelta(days=1),
    )


#: Folders whose tables are posted by received date.
FACTS = ("models/staging/messages/", "models/intermediate/facts/")
#: Days that a run tells of beside its own partition, at most: Dagster stores an event for every asset and day, and a
#: first load of a year would write thousands.
MOST_DAYS = 31
#: How often Dagster is told of what dbt has done. Both are Python: told of each table at once, their threads wait for
#: each other thousands of times.
TELL_EVERY_SECONDS = 20.0
DAYS = DailyPartitionsDefinition(start_date=first_day().isoformat(), timezone=TIMEZONE)
#: A lock that is held too long, a full or slow disk, a server that is away: these pass, and are tried again after so
#: many seconds. What a user has to put right doesn't.
RETRY_AFTER_SECONDS = (30, 60, 120)
RAW_EVENTS, PUBLICATION = AssetKey("raw_events"), AssetKey("publication")


# ---- dbt's project as Dagster shows it ----------------------------------------------------------------------------


class Translator(DagsterDbtTranslator):
    """Keys are schema and table, groups are the folders, sources are the raw events; facts are by received date."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> AssetKey:
        """All that dbt reads from outside is one asset."""
        is_source = dbt_resource_props["resource_type"] == "source"
        return RAW_EVENTS if is_source else AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The folder below models/; seeds are one group."""
        return "seeds" if dbt_resource_props["resource_type"] == "seed" else dbt_resource_props["fqn"][1]

    def get_partitions_def(self, dbt_resource_props: Mapping[str, Any]) -> DailyPartitionsDefinition | None:
        """Days, for facts."""
        return DAYS if dbt_resource_props["original_file_path"].startswith(FACTS) else None

    def get_asset_check_spec(self, *arguments: Any, **named: Any) -> AssetCheckSpec | None:
        """A failed test fails its step, which blocks what is downstream; with nothing new, none says anything."""
        spec = super().get_asset_check_spec(*arguments, **named)
        return spec and spec._replace(blocking=False)


def depths_of(manifest: Mapping[str, Any]) -> dict[str, int]:
    """How far down each node is; one is always further down than those that it reads."""
    depths: dict[str, int] = {}

    def depth_of(unique_id: str) -> int:
        if unique_id not in depths:
            parents = manifest["nodes"].get(unique_id, {}).get("depends_on", {}).get("nodes", [])
            depths[unique_id] = 1 + max(map(depth_of, parents), default=0)
        return depths[unique_id]

    for unique_id in manifest["nodes"]:
        depth_of(unique_id)
    return depths


MANIFEST = dbt.project_manifest(SETTINGS)
DEPTHS = depths_of(MANIFEST)
TRANSLATOR = Translator(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))
#: What is published, those that others read first.
PUBLIC = [
    TRANSLATOR.get_asset_key(node)
    for unique_id, node in sorted(MANIFEST["nodes"].items(), key=lambda one: (DEPTHS[one[0]], one[0]))
    if node["resource_type"] == "model" and node["schema"] in publish.PUBLIC_SCHEMAS
]
for one in MANIFEST["nodes"].values():
    # A test of several models is a check of the one furthest down.
    if one["resource_type"] == "test" and not one.get("attached_node"):
        one["attached_node"] = max(one["depends_on"]["nodes"], key=lambda name: (DEPTHS.get(name, 0), name))


def result_of(node: dbt.NodeResult) -> MaterializeResult | AssetCheckResult | None:
    """What Dagster is told of a seed, model or test; nothing of what has failed to build or was not run."""
    if not node.unique_id.startswith("test."):
        if node.status != "success":
            return None
        key = TRANSLATOR.get_asset_key(MANIFEST["nodes"][node.unique_id])
        return MaterializeResult(asset_key=key, metadata={"seconds": node.seconds})
    check = get_asset_check_key_for_test(MANIFEST, TRANSLATOR, node.unique_id, None)
    if not check or node.status == "skipped":
        return None
    return AssetCheckResult(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=node.status == "pass",
        severity=AssetCheckSeverity.WARN if node.status == "warn" else AssetCheckSeverity.ERROR,
        metadata={"seconds": node.seconds, **({"message": node.message} if node.message else {})},
    )


@contextmanager
def told(context: AssetExecutionContext | AssetCheckExecutionContext) -> Iterator[None]:
    """Say what a user has to put right without trying it again, and try again what may pass.

    Not by a policy of Dagster's: by that, a run that somebody terminates would be tried again, too.
    """
    try:
        yield
    except (RetryableError, OSError, duckdb.IOException) as error:
        if context.retry_number >= len(RETRY_AFTER_SECONDS):
            raise Failure(str(error), allow_retries=False) from error
        context.log.warning(f"To be tried again: {error}")
        raise RetryRequested(len(RETRY_AFTER_SECONDS), RETRY_AFTER_SECONDS[context.retry_number]) from error
    except Exception as error:
        raise Failure(str(error), allow_retries=False) from error


# ---- assets -------------------------------------------------------------------------------------------------------

# Dagster's version is pinned: what is still beta in it is known, and said once more by each of its processes.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=BetaWarning)


@asset(
    key=RAW_EVENTS,
    partitions_def=DAYS,
    backfill_policy=BackfillPolicy.single_run(),
    group_name="raw",
    kinds={"parquet"},
    description="Messages as they were delivered, by the day on which they were received, and the tables beside them.",
)
def raw_events(context: AssetExecutionContext) -> MaterializeResult:
    """Take in what the data set's own source has; messages that others put there are simply there."""
    with told(context), writing(SETTINGS):
        for note in take_in(SETTINGS, now=datetime.now(UTC)) if RAW is None else []:
            context.log.warning(note)
        found = raw_files.list_files(SETTINGS.raw)
    return MaterializeResult(metadata={"files": len(found), "bytes": sum(size for _, _, size, _ in found)})


class Build(Config):
    """What is computed."""

    is_rebuild: bool = True
    """Compute anew all from the first day of the run's partitions on; otherwise what is new."""


@dbt_assets(
    manifest=MANIFEST,
    dagster_dbt_translator=TRANSLATOR,
    backfill_policy=BackfillPolicy.single_run(),
)
def dbt_models(context: AssetExecutionContext, config: Build) -> Iterator[Any]:
    """Run dbt once, over all that is new, and tell Dagster of each table and test as it ends.

    The selection decides what is told, not what is computed: figures of different days never stand side by side.
    """
    is_partitioned = context.has_partition_key or context.has_partition_key_range
    rebuild_from = context.partition_time_window.start.date() if is_partitioned and config.is_rebuild else None
    results: queue.SimpleQueue[dbt.NodeResult] = queue.SimpleQueue()
    failures: list[BaseException] = []
    done: list[Any] = []

    def work() -> None:
        try:
            with writing(SETTINGS):
                done.append(
                    build(
                        SETTINGS, Stopwatch(), rules=RULES, own_raw=RAW is not None, rebuild_from=rebuild_from,
                        now=datetime.now(UTC), progress=False, on_result=results.put,
                    )
                )  # fmt: skip
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work, name="dbt")
    thread.start()
    keys, check_keys = context.selected_asset_keys, context.selected_asset_check_keys
    try:
        while thread.is_alive() or not results.empty():
            thread.join(TELL_EVERY_SECONDS)
            while not results.empty():
                found = result_of(results.get())
                if isinstance(found, AssetCheckResult):
                    if AssetCheckKey(found.asset_key, found.check_name) in check_keys:
                        yield found
                elif found and found.asset_key in keys:
                    yield found
    finally:
        thread.join()
    with told(context):
        if failures:
            raise failures[0]
    for note in done[0].notes:
        context.log.warning(note)
    window = done[0].window
    days = [window.run_from + timedelta(days=n) for n in range((window.run_to - window.run_from).days + 1)]
    for day in days if len(days) <= MOST_DAYS else []:
        if not context.has_partition_key or day.isoformat() != context.partition_key:
            for spec in dbt_models.specs:
                if spec.partitions_def and spec.key in keys:
                    context.log_event(AssetMaterialization(spec.key, partition=day.isoformat()))
    if done[0].manifest is not None:
        return
    with told(context), writing(SETTINGS):
        is_all_done = is_served(SETTINGS)
    if not is_all_done:  # the tables are what this run would have made
        yield from (MaterializeResult(asset_key=key, metadata={"is_new": False}) for key in PUBLIC if key in keys)


#: What each standing check measures.
DESCRIPTIONS = {
    str(row["check_name"]): str(row["description"]) for row in read_rules(None).tables["check_levels"].rows.values()
}


@multi_asset_check(
    specs=[
        AssetCheckSpec(name, asset=AssetKey(["quality", "checks"]), blocking=True, description=description)
        for name, description in DESCRIPTIONS.items()
        if name not in checks.FRESHNESS
    ],
)
def figures(context: AssetCheckExecutionContext) -> Iterator[AssetCheckResult]:
    """The standing checks of the figures. An error stops the publication, a warning doesn't."""
    with told(context), writing(SETTINGS):
        found = checks.of_figures(SETTINGS.warehouse)
    for key in context.selected_asset_check_keys:
        yield check_result(key.asset_key, key.name, [one for one in found if one.name == key.name])


def check_result(asset_key: AssetKey, name: str, found: list[checks.Check]) -> AssetCheckResult:
    """One check from its measured values: the worst of them decides. Without any there was nothing to judge yet."""
    statuses = {one.status for one in found}
    return AssetCheckResult(
        asset_key=asset_key,
        check_name=name,
        passed=statuses <= {"pass"},
        severity=AssetCheckSeverity.ERROR if "error" in statuses else AssetCheckSeverity.WARN,
        metadata={one.subject: f"{one.measured:g} ({one.explanation})" for one in found},
    )


@asset(
    key=PUBLICATION,
    deps=PUBLIC,
    group_name="published",
    kinds={"duckdb", "parquet"},
    description="The tested marts that readers open.",
    check_specs=[
        AssetCheckSpec(
            "publication_equals_warehouse", asset=PUBLICATION, description="Every published table, row for row."
        )
    ],
)
def publication(context: AssetExecutionContext) -> MaterializeResult:
    """Publish what the warehouse holds, unless readers see it already."""
    with told(context), writing(SETTINGS):
        path = publish_warehouse(SETTINGS, MANIFEST)
        different = publish.differences(SETTINGS)
    facts = publish.current(SETTINGS) or {}
    return MaterializeResult(
        metadata={"is_new": path is not None, "as_of": str(facts.get("as_of")), "run_id": str(facts.get("run_id"))},
        check_results=[
            AssetCheckResult(
                check_name="publication_equals_warehouse", passed=not different, metadata={"different": different}
            )
        ],
    )


@asset(
    deps=[PUBLICATION],
    group_name="published",
    kinds={"html"},
    description="The page that shows the publication.",
)
def atlas(context: AssetExecutionContext) -> MaterializeResult:
    """Make the page of what is published, unless it is there."""
    with told(context), writing(SETTINGS):
        is_new = publish_atlas(SETTINGS)
    return MaterializeResult(metadata={"is_new": is_new, "file": str(SETTINGS.published / publish.ATLAS)})


@asset(
    deps=[PUBLICATION],
    group_name="published",
    kinds={"postgres"},
    description="The publication in PostgreSQL.",
)
def postgresql(context: AssetExecutionContext) -> MaterializeResult:
    """Load what is published, unless it is there."""
    with told(context), writing(SETTINGS):
        rows = publish_to_postgres(SETTINGS)
    return MaterializeResult(metadata={"tables": len(rows), "rows": sum(rows.values())})


def freshness(name: str, key: AssetKey) -> AssetChecksDefinition:
    """How old messages or publication are; also asked on its own, since a refresh that doesn't run can't say so."""

    @asset_check(name=name, asset=key, description=DESCRIPTIONS[name])
    def measured() -> AssetCheckResult:
        rules = read_rules(find_folder(RULES, RULES_FOLDER))
        found = checks.of_freshness(SETTINGS, rules, datetime.now(UTC))
        return check_result(key, name, [one for one in found if one.name == name])

    return measured


FRESHNESS = [freshness(*one) for one in zip(checks.FRESHNESS, (RAW_EVENTS, PUBLICATION), strict=True)]


# ---- jobs, schedules, sensors -------------------------------------------------------------------------------------

# One process: steps follow each other anyway, and each process of its own would load dbt again.
refresh_job = define_asset_job(
    "refresh",
    selection=AssetSelection.all(),
    config={"ops": {"dbt_models": {"config": {"is_rebuild": False}}}},
    executor_def=in_process_executor,
    description="Take in what is new and publish it, whatever days are chosen.",
)
rebuild_job = define_asset_job(
    "rebuild",
    selection=AssetSelection.all(),
    config={"ops": {"dbt_models": {"config": {"is_rebuild": True}}}},
    executor_def=in_process_executor,
    description="Compute anew everything from the chosen received date on, and publish it; from the first one on it is "
    "a full rebuild, with the manifest. One day is enough: those after it are always part of it.",
)
freshness_job = define_asset_job(
    "check_freshness",
    selection=AssetSelection.checks(*FRESHNESS),
    executor_def=in_process_executor,
    description="How old messages and publication are.",
)


def refresh_request(now: datetime, run_key: str | None = None) -> RunRequest:
    """A run of the job `refresh` at `now` (aware): all that is new up to yesterday, whose day is its partition."""
    yesterday = now.astimezone(ZoneInfo(TIMEZONE)).date() - timedelta(days=1)
    return RunRequest(job_name="refresh", run_key=run_key, partition_key=yesterday.isoformat())


@schedule(job=refresh_job, cron_schedule="0 4 * * *", execution_timezone=TIMEZONE)
def refresh_daily(context: ScheduleEvaluationContext) -> RunRequest:
    """Every morning, what was received until midnight."""
    return refresh_request(context.scheduled_execution_time)


@schedule(job=freshness_job, cron_schedule="0 9 * * *", execution_timezone=TIMEZONE)
def check_freshness_daily(context: ScheduleEvaluationContext) -> RunRequest:
    """Every day some hours after the refresh: a schedule that has stopped can't say that it has."""
    return RunRequest()


@sensor(job=refresh_job, minimum_interval_seconds=60)
def new_raw_files(context: SensorEvaluationContext) -> RunRequest | SkipReason:
    """Start a refresh when raw files have arrived that the manifest doesn't know: one run per new set of files."""
    under_way = RunsFilter(job_name="refresh", statuses=[DagsterRunStatus.STARTING, DagsterRunStatus.STARTED])
    if is_locked(SETTINGS) or context.instance.get_runs_count(under_way):
        return SkipReason("The data set is being written: what is new to the manifest may be known at the end.")
    _, known = raw_files.read_manifest(SETTINGS)
    remembered = {(file.file, file.size) for file in known}
    try:
        found = raw_files.list_files(SETTINGS.raw)
    except StrataError as error:
        return SkipReason(str(error))
    new = sorted((name, size) for name, _, size, _ in found if (name, size) not in remembered)
    if not new:
        return SkipReason("No raw file is new.")
    cursor = hashlib.sha256(json.dumps(new).encode()).hexdigest()
    if cursor == context.cursor:
        return SkipReason("A refresh was started for these files already.")
    context.update_cursor(cursor)
    return refresh_request(datetime.now(UTC), run_key=cursor)


@run_failure_sensor(
    default_status=DefaultSensorStatus.RUNNING if alerts.is_configured() else DefaultSensorStatus.STOPPED
)
def alert_on_failure(context: RunFailureSensorContext) -> None:
    """Tell those who are named in the environment which run has failed, and why."""
    failures = [event.step_failure_data for event in context.get_step_failure_events()]
    why = [
        (failure.user_failure_data and failure.user_failure_data.description)
        or (failure.error and failure.error.message.strip())
        for failure in failures
    ]
    alerts.send(
        f"Strata: {context.dagster_run.job_name} of {DATASET} failed",
        "\n".join(text or "" for text in why or [context.failure_event.message])
        + f"\n\nrun {context.dagster_run.run_id}",
    )


definitions = Definitions(
    assets=[raw_events, dbt_models, publication, atlas, *([postgresql] if os.environ.get("STRATA_POSTGRES") else [])],
    asset_checks=[figures, *FRESHNESS],
    jobs=[refresh_job, rebuild_job, freshness_job],
    schedules=[refresh_daily, check_freshness_daily],
    sensors=[new_raw_files, alert_on_failure],
)
