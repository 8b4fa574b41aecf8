"""`make bench`: a full refresh against the scan of its columns, one more day against it, and Dagster's against ours.

Everything runs in processes of its own. Ratios are what counts: seconds differ from machine to machine.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.measure import median, run

#: The demo makes about this many messages a customer in its fourteen months.
EVENTS_PER_CUSTOMER = 34
LAST_DAY = "2026-02-28"
DAY_BEFORE = "2026-02-27"
#: As many threads as dbt has.
SCAN = """
import duckdb, sys
db = duckdb.connect(config={"threads": 2})
db.execute("set TimeZone = 'UTC'")
columns = ("message_id", "type", "event", "anonymous_id", "user_id", "timestamp", "received_at",
           "properties", "traits", "context")
lengths = ", ".join(f"sum(strlen(cast({column} as varchar)))" for column in columns)
files = [sys.argv[1] + "/events/**/*.parquet"]
print(db.execute(f"select count(*), {lengths} from read_parquet(?)", files).fetchone()[0])
"""
REFRESH = """
import json, sys
from datetime import date
from orchestration.refresh import refresh
from orchestration.settings import Settings
settings, as_of = Settings.of("demo", raw=sys.argv[1]), date.fromisoformat(sys.argv[2])
done = refresh(settings, as_of=as_of, own_raw=True, progress=False)
print(json.dumps({"wall": done.seconds, "cpu": done.cpu_seconds, "layers": done.layer_seconds}))
"""
#: The same refresh as Dagster's job, in a process that loads the code location as a run of Dagster's does.
DAGSTER = """
import os, shutil
from datetime import UTC, datetime
from pathlib import Path
from dagster import DagsterInstance
from orchestration import definitions as code
from orchestration.settings import PROJECT_DIR
folder = Path(os.environ["DAGSTER_HOME"])
folder.mkdir(parents=True, exist_ok=True)
shutil.copy(PROJECT_DIR / "orchestration" / "dagster.yaml", folder)
job = code.definitions.resolve_job_def("refresh")
assert job.execute_in_process(
    instance=DagsterInstance.get(),
    partition_key=code.refresh_request(datetime.now(UTC)).partition_key,
    run_config={
        "ops": {"dbt_models": {"config": {"is_rebuild": False}}},
        "loggers": {"console": {"config": {"log_level": "ERROR"}}},
    },
).success
"""
MAKE = """
import sys
from datetime import UTC, date, datetime
from orchestration.datasets import prepare
from orchestration.settings import Settings
until, now = date.fromisoformat(sys.argv[2]), datetime.now(UTC)
prepare(Settings.of("demo"), source=None, size=int(sys.argv[1]), until=until, now=now)
"""


def row(name: str, wall: float, cpu: float, peak: float | None = None) -> None:
    """One line of the table."""
    print(f"  {name:<34}{wall:>9.1f}{cpu:>9.1f}{f'{peak:>9,.0f}' if peak else ''}")


def main(
    events: Annotated[int, typer.Option(help="About how many events.")] = 1_000_000,
    runs: Annotated[int, typer.Option(help="How often each figure is measured; the median counts.")] = 3,
) -> None:
    """Print the table and the ratios."""
    with tempfile.TemporaryDirectory(prefix="strata-bench-") as folder:
        home = Path(folder)
        size = str(max(100, events // EVENTS_PER_CUSTOMER))
        made = run(MAKE, size, DAY_BEFORE, STRATA_HOME=str(home))
        raw = home / "raw" / "demo"
        full, more, again, scans, dagster_full, dagster_again = [], [], [], [], [], []
        for number in range(runs):
            # Everything but the raw messages begins anew; the last day arrives after the first full refresh.
            full_home = home / f"full-{number}"
            scans.append(run(SCAN, str(raw), STRATA_HOME=str(full_home)))
            full.append(run(REFRESH, str(raw), DAY_BEFORE, STRATA_HOME=str(full_home)))
            own_home = home / f"dagster-{number}"
            places = {"STRATA_HOME": str(own_home), "DAGSTER_HOME": str(own_home / "dagster"), "RAW": str(raw)}
            for group in (dagster_full, dagster_again):
                group.append(run(DAGSTER, **places))
        made_day = run(MAKE, size, LAST_DAY, STRATA_HOME=str(home))
        for number in range(runs):
            full_home = home / f"full-{number}"
            more.append(run(REFRESH, str(raw), LAST_DAY, STRATA_HOME=str(full_home)))
            again.append(run(REFRESH, str(raw), LAST_DAY, STRATA_HOME=str(full_home)))
        count = int(scans[-1].said)

        print(f"\n{count:,} events; medians of {runs} runs, each a process of its own")
        print(f"  {'':<34}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}")
        row("make the demo's messages", made.wall + made_day.wall, made.cpu + made_day.cpu, made.peak)
        for name, group in (
            ("scan of the same columns", scans), ("full refresh", full),
            ("one more day", more), ("nothing new", again),
            ("full refresh by Dagster", dagster_full), ("nothing new by Dagster", dagster_again),
        ):  # fmt: skip
            row(name, median(group, "wall"), median(group, "cpu"), max(one.peak for one in group))
        stages = json.loads(full[-1].said)
        print("\n  The last full refresh, stage by stage")
        for stage, wall in stages["wall"].items():
            row(f"  {stage}", wall, stages["cpu"][stage])
        print("    within dbt, wall s: " + ", ".join(f"{name} {wall:.1f}" for name, wall in stages["layers"].items()))

        print("\n  Ratios (CPU, wall)")
        for name, above, below in (
            ("full refresh / scan", full, scans), ("one more day / full refresh", more, full),
            ("nothing new / full refresh", again, full), ("Dagster / full refresh", dagster_full, full),
        ):  # fmt: skip
            cpu = median(above, "cpu") / median(below, "cpu")
            wall = median(above, "wall") / median(below, "wall")
            print(f"    {name:<30}{cpu:>9.3f}{wall:>9.3f}")
        print(f"    {'full refresh, CPU us an event':<30}{median(full, 'cpu') / count * 1e6:>9.1f}")
        print("\n  What Dagster adds, in seconds (CPU, wall)")
        for name, above, below in (("full refresh", dagster_full, full), ("nothing new", dagster_again, again)):
            cpu, wall = (median(above, figure) - median(below, figure) for figure in ("cpu", "wall"))
            print(f"    {name:<30}{cpu:>9.1f}{wall:>9.1f}")


if __name__ == "__main__":
    typer.run(main)
