"""Readers never wait and never see half a refresh."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

import hostile
from rehearsal import Rehearsal

#: Opens the publication anew again and again, as BI tools do, in a process of its own, until it is told to stop.
READER = """
import json, sys
from pathlib import Path
import duckdb
link, stop = Path(sys.argv[1]), Path(sys.argv[2])
opened, errors, runs = 0, [], []
print("reading", flush=True)
while not stop.exists():
    try:
        with duckdb.connect(str(link), read_only=True) as db:
            run, published, orders, entries, customers, snapshots = db.execute('''
                select
                    (select run_id from quality.publication),
                    (select run_id from main._publication),
                    (select sum(net_revenue) from marts.orders),
                    (select sum(net_revenue) from marts.revenue_entries),
                    (select count(*) from marts.customers),
                    (select count(*) from marts.customer_snapshots where is_latest)
            ''').fetchone()
        opened += 1
        if run != published or orders != entries or customers != snapshots:
            errors.append(f"half a state: {run} {published} {orders} {entries} {customers} {snapshots}")
        if run not in runs:
            runs.append(run)
    except Exception as error:
        errors.append(str(error))
print(json.dumps({"opened": opened, "errors": errors[:5], "runs": runs}))
"""


def test_a_reader_sees_whole_states_while_three_refreshes_publish(home: Path, tmp_path: Path) -> None:
    plan = hostile.draw_plan(seed=3, people=30, messages_per_day=20)
    books = Rehearsal(home, "read_while_refreshed")
    days = [datetime(2025, 3, 6, 12), datetime(2025, 3, 12, 12), datetime(2025, 3, 20, 12), datetime(2025, 4, 2, 12)]
    plan.deliver(books.raw, days[0])
    books.refresh(days[0])

    stop = tmp_path / "stop"
    command = [sys.executable, "-c", READER, str(books.settings.published / "strata.duckdb"), str(stop)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        try:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "reading\n"
            published = []
            for day in days[1:]:
                plan.deliver(books.raw, day)
                published.append(books.refresh(day).published)
        finally:
            stop.touch()
        seen = json.loads(reader.stdout.readline())
    if None in published:
        pytest.fail("a refresh of the rehearsal published nothing, so it proves nothing")
    assert seen["errors"] == []
    assert seen["opened"] > 10
    # The first publication, and each of the two whose successor took seconds to come.
    assert len(seen["runs"]) >= 3
