"""dbt in this process: parse once, build once, show progress, explain failures."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import duckdb
import yaml

from orchestration.errors import StrataError
from orchestration.settings import PROJECT_DIR, Settings

#: A change here changes what facts are, so the warehouse is built anew from the manifest.
FACT_PATHS = ("models/staging", "models/intermediate/facts", "macros", "seeds/reference")
#: A change here restates the snapshots.
RULE_PATHS = ("models", "macros", "seeds", "orchestration/fit.py", "orchestration/month_end_fits.py", "dbt_project.yml")
#: A change here leaves the figures as they are, and is tested and published.
WORD_PATHS = ("models", "tests/*.sql", "tests/generic/*.sql")
#: Variables that shape facts; all others of the business shape only the snapshots.
FACT_VARIABLES = (
    "business_timezone",
    "reporting_currency",
    "largest_plausible_amount",
    "session_gap_minutes",
)
#: Variables of the run, set by the refresh.
RUN_VARIABLES = (
    "manifest_path",
    "rates_path",
    "keys_path",
    "forgotten_path",
    "own_rules",
    "raw_root",
    "run_from",
    "run_to",
    "as_of",
    "snapshots",
    "snapshots_to_build",
    "utc_offsets",
    "rules_version",
    "run_id",
)


@dataclass(frozen=True)
class NodeResult:
    """How one seed, model or test ended: success, pass, warn, fail, error or skipped; what dbt says; seconds."""

    unique_id: str
    status: str
    message: str
    seconds: float


@dataclass
class BuildResult:
    """What a dbt build did: its manifest, seconds per layer, and the number of tests that passed."""

    manifest: dict[str, Any]
    seconds: dict[str, float] = field(default_factory=dict)
    checks_passed: int = 0


def business_variables(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of dbt_project.yml that are the business's to set, with a data set's own values over them.

    Raises StrataError for a name that dbt_project.yml doesn't know, and for a value that can't be one.
    """
    project = yaml.safe_load((PROJECT_DIR / "dbt_project.yml").read_text())
    variables = {name: value for name, value in project["vars"].items() if name not in RUN_VARIABLES}
    unknown = sorted(set(overrides) - set(variables))
    if unknown:
        raise StrataError(f"Unknown variable {', '.join(unknown)}: dbt_project.yml has {', '.join(variables)}.")
    return variables | {name: _value(name, text, variables[name]) for name, text in overrides.items()}


def _value(name: str, text: Any, usual: Any) -> Any:
    """A variable's value as the business wrote it, checked against what dbt_project.yml has."""
    value = yaml.safe_load(text) if isinstance(text, str) else text
    kinds = (int, float) if isinstance(usual, (int, float)) and not isinstance(usual, bool) else (type(usual),)
    wrong = "" if type(value) in kinds else f"it must be like {json.dumps(usual)}"
    if name == "business_timezone" and not wrong and value not in available_timezones():
        wrong = "there is no such time zone: write one like Europe/Berlin"
    if name == "reporting_currency" and not wrong and not re.fullmatch("[A-Z]{3}", value):
        wrong = "write a currency's three capital letters, like EUR"
    if name == "ltv_family" and not wrong and value not in ("bg", "mbg"):
        wrong = "it must be mbg or bg"
    if wrong:
        raise StrataError(f"Variable {name} is {text!r}: {wrong}.")
    return value


def version_of(
    paths: tuple[str, ...],
    variables: Mapping[str, Any],
    extra: tuple[Path, ...] = (),
    suffixes: tuple[str, ...] = (".sql", ".csv", ".py"),
) -> str:
    """A hash of project files and variables: 16 hexadecimal digits. Of a folder, the files with these suffixes."""
    digest = hashlib.sha256(json.dumps(variables, sort_keys=True, default=str).encode())
    named = [file for path in paths for file in PROJECT_DIR.glob(path)]
    files = [file for file in named if file.is_file()]
    files += [file for folder in named for file in folder.rglob("*") if file.suffix in suffixes]
    for file in sorted(files):
        digest.update(str(file.relative_to(PROJECT_DIR)).encode() + b"\0" + file.read_bytes())
    for file in sorted(extra):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def arguments_of(settings: Settings) -> list[str]:
    """What every dbt command is told: where the project is, and where its own files go."""
    return [
        "--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR),
        "--target-path", str(target_of(settings)), "--log-path", str(settings.home / "logs"),
        "--log-level", "none", "--log-level-file", "info", "--no-version-check",
        "--target", "duckdb",  # whatever DBT_TARGET is for `mf`
    ]  # fmt: skip


def target_of(settings: Settings) -> Path:
    """The folder of dbt's own files."""
    return settings.home / "target"


def parse(settings: Settings) -> Any:
    """The project's manifest, as dbt has it in memory; written down, too.

    Raises StrataError where dbt can't read the project.
    """
    os.environ["STRATA_WAREHOUSE"] = str(settings.warehouse)
    os.environ["DBT_PROJECT_DIR"] = str(PROJECT_DIR)
    from dbt.cli.main import dbtRunner  # imported late: it takes seconds

    parsed = dbtRunner().invoke(["parse", *arguments_of(settings)])
    if not parsed.success:
        raise StrataError(f"dbt can't parse the project: {parsed.exception}")
    return parsed.result


def project_manifest(settings: Settings) -> dict[str, Any]:
    """The project's manifest as dbt writes it; parsed anew only where a file of the project is newer."""
    path = target_of(settings) / "manifest.json"
    patterns = ("dbt_project.yml", "models/**/*", "macros/**/*", "seeds/**/*", "tests/*.*", "tests/generic/*")
    files = [file for pattern in patterns for file in PROJECT_DIR.glob(pattern)]
    if path.exists() and path.stat().st_mtime > max(file.stat().st_mtime for file in files):
        with suppress(ValueError):  # another process is writing it
            return json.loads(path.read_text())
    return as_written(parse(settings))


def as_written(parsed: Any) -> dict[str, Any]:
    """A manifest as dbt writes it. Its file may be that of another process, which works on another data set."""
    return parsed.writable_manifest().to_dict(omit_none=False)


def build(
    settings: Settings,
    variables: Mapping[str, Any],
    select: str | None = None,
    *,
    parsed: Any = None,
    restate: bool = False,
    tests: bool = True,
    progress: bool = True,
    on_result: Callable[[NodeResult], None] | None = None,
) -> BuildResult:
    """Run seeds, models and data tests of the project in one dbt invocation.

    `parsed`: the manifest, where the caller has it already. `restate`: nothing but the facts is kept of what the
    warehouse holds, whatever columns it has. `on_result` is told of each node as it ends.
    Raises StrataError naming every model, seed and test that failed.
    """
    parsed = parsed or parse(settings)
    from dbt.cli.main import dbtRunner

    if restate:
        drop_restated(settings.warehouse, parsed.nodes.values())
    watcher = ProgressBar() if progress and sys.stderr.isatty() else None
    callbacks = [watcher.on_event] if watcher else []
    if on_result:
        callbacks.append(lambda event: event.info.name == "NodeFinished" and on_result(result_of(event)))
    runner = dbtRunner(manifest=parsed, callbacks=callbacks)
    arguments = [
        *("build", *arguments_of(settings), "--vars", json.dumps(variables, default=str)),
        *("--exclude-resource-type", "unit_test", "--exclude-resource-type", "exposure"),
        *(() if tests else ("--exclude-resource-type", "test")),
    ]
    try:
        # Of a selection, the tests that read nothing else.
        selection = ["--select", select, "--indirect-selection", "cautious"] if select else []
        result = runner.invoke([*arguments, *selection])
    finally:
        if watcher:
            watcher.stop()
        # dbt keeps the warehouse open for as long as the process lives; the publisher has to open it too.
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager

        DuckDBConnectionManager.close_all_connections()
    if result.result is None:
        raise StrataError(f"dbt could not run: {result.exception}")
    outcome = BuildResult(manifest=as_written(parsed))
    failures = []
    for node in result.result:
        layer = node.node.fqn[1] if node.node.resource_type == "model" else f"{node.node.resource_type}s"
        outcome.seconds[layer] = outcome.seconds.get(layer, 0.0) + node.execution_time
        if node.status in ("error", "fail"):
            failures.append(f"  {node.node.resource_type} {node.node.name}: {first_words(node.message or '')}")
        elif node.node.resource_type == "test" and node.status == "pass":
            outcome.checks_passed += 1
    if failures:
        raise StrataError("dbt build failed:\n" + "\n".join(failures))
    return outcome


def result_of(event: Any) -> NodeResult:
    """What dbt's event of a finished node says."""
    node, result = event.data.node_info, event.data.run_result
    return NodeResult(node.unique_id, result.status, first_words(result.message), result.execution_time)


def drop_restated(warehouse: Path, nodes: Iterable[Any]) -> None:
    """Drop the tables that grow by snapshots: under new rules their rows are made anew, maybe with other columns."""
    if not warehouse.exists():
        return
    with duckdb.connect(str(warehouse)) as db:
        for node in nodes:
            grows = node.resource_type == "model" and node.config.materialized == "incremental"
            if grows and not node.original_file_path.startswith(FACT_PATHS):
                db.execute(f'drop table if exists "{node.schema}"."{node.alias}"')


def first_words(message: str) -> str:
    """What dbt says of a failure, without the macros that it came through."""
    lines = [line.rstrip() for line in message.strip().splitlines()]
    return "\n".join(line for line in lines if line and not line.lstrip().startswith(("> in ", "> called by ")))


class ProgressBar:
    """Shows how many of dbt's nodes are done, on a terminal."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), transient=True
        )
        self._task = self._progress.add_task("dbt", total=None)
        self._progress.start()
        self._started = time.monotonic()

    def on_event(self, event: Any) -> None:
        """A dbt event: counts finished nodes."""
        if event.info.name == "ConcurrencyLine":
            self._progress.update(self._task, total=event.data.node_count)
        elif event.info.name == "NodeFinished":
            self._progress.update(self._task, advance=1, description=event.data.node_info.node_name[:44])

    def stop(self) -> None:
        """Remove the bar."""
        self._progress.stop()
