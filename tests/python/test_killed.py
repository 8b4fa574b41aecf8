"""A refresh that is killed leaves the publication as it was, and the next one makes good."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

import hostile
from orchestration import publish
from orchestration.settings import PROJECT_DIR
from rehearsal import Rehearsal, differences

KILLS = 10
REFRESH = """
import sys
from datetime import datetime
from pathlib import Path
from orchestration.refresh import refresh
from orchestration.settings import Settings
dataset, raw, home, now = sys.argv[1:]
settings = Settings.of(dataset, raw, Path(home))
refresh(settings, own_raw=True, now=datetime.fromisoformat(now), progress=False)
"""


def started(books: Rehearsal, now: datetime) -> subprocess.Popen[bytes]:
    """A refresh in a process of its own."""
    arguments = [books.settings.dataset, str(books.raw), str(books.settings.home), now.replace(tzinfo=UTC).isoformat()]
    return subprocess.Popen([sys.executable, "-c", REFRESH, *arguments], cwd=PROJECT_DIR, stderr=subprocess.DEVNULL)


def test_a_refresh_that_is_killed_ten_times_loses_and_invents_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRATA_ID_KEY", "0" * 32)  # both hash ids alike
    plan = hostile.draw_plan(seed=11, people=20, messages_per_day=10)
    books = Rehearsal(home, "killed")
    before, now = datetime(2025, 3, 10, 15), datetime(2025, 4, 8, 3)
    plan.deliver(books.raw, before)
    books.refresh(before)
    published = publish.current(books.settings)
    assert published

    # As long as an undisturbed run of the same takes.
    undisturbed = Rehearsal(home, "undisturbed")
    plan.deliver(undisturbed.raw, before)
    undisturbed.refresh(before)
    plan.deliver(undisturbed.raw, now)
    begun = time.monotonic()
    assert started(undisturbed, now).wait() == 0
    seconds = time.monotonic() - begun

    plan.deliver(books.raw, now)
    moments = random.Random(20261126)
    killed = 0
    for number in range(KILLS):
        # One in every tenth of the run, so that all of its stages are met.
        process = started(books, now)
        try:
            process.wait(seconds * (number + moments.random()) / KILLS)
        except subprocess.TimeoutExpired:
            process.kill()
            killed += process.wait() == -9
        link = books.settings.published / "strata.duckdb"
        with duckdb.connect(str(link), read_only=True) as db:
            [(run, rows)] = db.execute(
                "select (select run_id from main._publication), (select count(*) from marts.orders)"
            ).fetchall()
            counts = publish.current(books.settings)["row_counts"]
        assert rows == counts["marts.orders"] > 0
        if publish.current_run(books.settings) == published["run_id"]:
            assert run == published["run_id"]
        else:  # killed after it had published
            assert publish.current(books.settings)["as_of"] == publish.current(undisturbed.settings)["as_of"]
    assert killed >= KILLS // 2  # the others were quicker than the undisturbed run

    assert started(books, now).wait() == 0
    assert differences(books, undisturbed) == []
    assert publish.differences(books.settings) == []
    assert [file.name for file in books.settings.published.rglob(".*")] == []
