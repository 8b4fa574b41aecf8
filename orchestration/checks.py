"""The standing checks: what is measured, against the levels of seeds/rules/check_levels.csv.

Those of the figures are computed in SQL (`quality.checks`). How fresh messages and publication are depends on the
clock, so it is no figure: it is asked here, by who watches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import duckdb

from orchestration import publish, raw_files
from orchestration.errors import StrataError
from orchestration.rules import Rules
from orchestration.settings import Settings

#: The checks that depend on the clock.
FRESHNESS = ("raw_freshness", "publication_freshness")
SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True)
class Check:
    """One measured value, its levels, and what follows from them."""

    name: str
    subject: str
    measured: float
    warn_level: float
    error_level: float
    status: Literal["pass", "warn", "error"]
    explanation: str


def of_figures(warehouse: Path) -> list[Check]:
    """The checks of the figures in a warehouse, as `quality.checks` has them."""
    with closing(duckdb.connect(str(warehouse), read_only=True)) as db:
        rows = db.execute(
            "select check_name, subject, measured, coalesce(warn_level, 'inf'), coalesce(error_level, 'inf'), status, "
            "explanation from quality.checks order by check_name, subject"
        ).fetchall()
    return [Check(*row) for row in rows]


def of_freshness(settings: Settings, rules: Rules, now: datetime) -> list[Check]:
    """How old, in days, the latest message of the last refresh and the publication are at `now` (aware).

    Where there is neither, there is no check.
    """
    _, files = raw_files.read_manifest(settings)
    posted = [file.last_posted_at for file in files if file.last_posted_at]
    ages = {"raw_freshness": datetime.fromisoformat(max(posted)).replace(tzinfo=UTC)} if posted else {}
    if published := publish.current(settings):
        ages["publication_freshness"] = published["published_at"].replace(tzinfo=UTC)
    levels = {row["check_name"]: row for row in rules.tables["check_levels"].rows.values()}
    found = []
    for name, since in ages.items():
        measured = round((now - since).total_seconds() / SECONDS_A_DAY, 2)
        warn, error = (_number(levels.get(name, {}).get(f"{kind}_level")) for kind in ("warn", "error"))
        status = "error" if measured > error else "warn" if measured > warn else "pass"
        found.append(Check(name, settings.dataset, measured, warn, error, status, f"since {since:%Y-%m-%d %H:%M} UTC"))
    return found


def _number(level: str | None) -> float:
    """A level of the seed; a blank one is never reached."""
    return float(level) if level else math.inf


def refuse_errors(checks: Iterable[Check]) -> None:
    """Raise StrataError that names the checks in error."""
    errors = [
        f"  - {one.name} ({one.subject}) is {one.measured:g}, above {one.error_level:g}: {one.explanation}"
        for one in checks
        if one.status == "error"
    ]
    if errors:
        raise StrataError(
            "nothing was published, the last publication stays as it was:\n" + "\n".join(errors) + "\n"
            "The levels are in seeds/rules/check_levels.csv."
        )
