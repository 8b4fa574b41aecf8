"""Readers never wait and never see half a refresh: in processes of their own, as BI tools, while marts come out."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

import hostile
from orchestration.lock import writer_lock
from orchestration.publish import current_run, publish
from rehearsal import Rehearsal

#: Opens the publication anew until it is told to stop. Says on stderr which runs it meets, and ends at what is wrong.
READER = """
import os, sys, time
from pathlib import Path
import duckdb
kind, folder, stop = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
link = folder / "strata.duckdb"
STATE = '''
    select
        (select run_id from quality.publication),
        (select sum(net_revenue) from marts.orders), (select sum(net_revenue) from marts.revenue_entries),
        (select count(*) from marts.customers), (select count(*) from marts.customer_snapshots where is_latest)
'''

def by_duckdb():
    with duckdb.connect(str(link), read_only=True) as db:
        [(run,)] = db.execute("select run_id from main._publication").fetchall()
        return run, db.execute(STATE).fetchone()

def by_sqlalchemy():
    # Every mart as a BI tool lists it: with its comment, its columns and theirs, and some rows.
    import warnings
    import sqlalchemy as sa
    warnings.filterwarnings("ignore", message="duckdb-engine doesn't yet support reflection on indices")
    engine = sa.create_engine(f"duckdb:///{link}", connect_args={"read_only": True}, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        metadata = sa.MetaData()
        for schema in ("marts", "quality"):
            metadata.reflect(connection, schema=schema)
        assert len(metadata.tables) > 25, metadata.tables
        for table in metadata.tables.values():
            assert all(described.comment for described in (table, *table.columns)), table
            connection.execute(sa.select(table).limit(3)).fetchall()
        [(run,)] = connection.execute(sa.text("select run_id from main._publication")).fetchall()
        return run, tuple(connection.execute(sa.text(STATE)).fetchone())

def by_parquet():
    run = Path(os.path.realpath(folder / "parquet"))
    with duckdb.connect() as db:
        for path in run.rglob("*.parquet"):
            db.execute(f"create schema if not exists {path.parent.name}")
            db.execute(f"create view {path.parent.name}.{path.stem} as from read_parquet('{path}')")
        return run.parent.name, db.execute(STATE).fetchone()

read = {"duckdb": by_duckdb, "sqlalchemy": by_sqlalchemy, "parquet": by_parquet}[kind]
last = None
while not stop.exists():
    run, (named, orders, entries, customers, snapshots) = read()
    assert (run, orders, customers) == (named, entries, snapshots), (run, named, orders, entries, customers, snapshots)
    if run != last:
        print(run, file=sys.stderr, flush=True)
        last = run
    time.sleep(0.3)
"""
READERS = ("duckdb", "duckdb", "duckdb", "duckdb", "sqlalchemy", "sqlalchemy", "parquet", "parquet")


def test_eight_readers_see_whole_states_through_five_publications(home: Path, tmp_path: Path) -> None:
    books, now = Rehearsal(home, "read_while_published"), datetime(2025, 3, 12, 12)
    hostile.draw_plan(seed=3, people=30, messages_per_day=20).deliver(books.raw, now)
    books.refresh(now)
    run_id = current_run(books.settings)

    stop = tmp_path / "stop"
    with ExitStack() as stack:
        command = [sys.executable, "-c", READER]
        readers = []
        for kind in READERS:
            arguments = [kind, str(books.settings.published), str(stop)]
            pipes = {
                "stdout": subprocess.DEVNULL,
                "stderr": subprocess.PIPE,
                "text": True,
            }  # progress bars go to stdout
            readers.append(stack.enter_context(subprocess.Popen([*command, *arguments], **pipes)))
        stack.callback(stop.touch)
        for number in range(6):
            # Every reader is in the midst of it when the next one is published.
            for kind, reader in zip(READERS, readers, strict=True):
                line = reader.stderr.readline()
                if line != f"{run_id}\n":
                    stop.touch()
                    pytest.fail(f"{kind}, publication {number}: {line}{reader.stderr.read()}")
            if number < 5:
                run_id = f"less-{number}"
                publish_less(books, run_id)
        stop.touch()
        assert [reader.communicate()[1] for reader in readers] == [""] * len(READERS)
    assert [reader.returncode for reader in readers] == [0] * len(READERS)


def publish_less(books: Rehearsal, run_id: str) -> None:
    """Publish, under the writer lock as a refresh does, the last state with a customer and an order less."""
    with writer_lock(books.settings):
        with duckdb.connect(str(books.settings.warehouse)) as db:
            db.execute(f"""
                update quality.publication set run_id = '{run_id}';
                delete from marts.orders where order_id = (select max(order_id) from marts.orders);
                delete from marts.revenue_entries where order_id not in (select order_id from marts.orders);
                delete from marts.customers where customer_id = (select max(customer_id) from marts.customers);
                delete from marts.customer_snapshots where customer_id not in (select customer_id from marts.customers);
            """)
        manifest = json.loads((books.settings.home / "target" / "manifest.json").read_text())
        publish(books.settings, manifest=manifest, run_id=run_id)
