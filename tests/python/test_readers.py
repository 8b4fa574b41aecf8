"""Readers never wait and never see half a refresh: as BI tools, in processes of their own, while refreshes publish."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import duckdb

import hostile
from orchestration.publish import publish
from rehearsal import Rehearsal

#: Opens the publication anew again and again until it is told to stop, and says which runs it met and what was wrong.
READER = """
import json, os, sys, time
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
        for schema in ("marts", "quality"):
            inspector = sa.inspect(connection)
            for name in inspector.get_table_names(schema=schema):
                table = sa.Table(name, sa.MetaData(), schema=schema, autoload_with=connection)
                for described in (table, *table.columns):
                    assert described.comment, f"{described} has no comment"
                connection.execute(sa.select(table).limit(3)).fetchall()
                tables.add(f"{schema}.{name}")
        [(run,)] = connection.execute(sa.text("select run_id from main._publication")).fetchall()
        return run, tuple(connection.execute(sa.text(STATE)).fetchone())

def by_parquet():
    run = Path(os.path.realpath(folder / "parquet"))
    with duckdb.connect() as db:
        for path in run.rglob("*.parquet"):
            db.execute(f"create schema if not exists {path.parent.name}")
            db.execute(f"create view {path.parent.name}.{path.stem} as from read_parquet('{path}')")
        return run.name.removeprefix("parquet-"), db.execute(STATE).fetchone()

read = {"duckdb": by_duckdb, "sqlalchemy": by_sqlalchemy, "parquet": by_parquet}[kind]
opened, errors, runs, tables = 0, [], [], set()
print("reading", flush=True)
while not stop.exists() or not opened:
    try:
        run, (named, orders, entries, customers, snapshots) = read()
        opened += 1
        if run != named or orders != entries or customers != snapshots:
            errors.append(f"half a state: {run} {named} {orders} {entries} {customers} {snapshots}")
        if run not in runs:
            runs.append(run)
    except Exception as error:
        errors.append(f"{type(error).__name__}: {error}")
    time.sleep(0.05)
print(json.dumps({"opened": opened, "errors": errors[:3], "runs": runs, "tables": len(tables)}))
"""
READERS = ("duckdb", "duckdb", "duckdb", "duckdb", "sqlalchemy", "sqlalchemy", "parquet", "parquet")


def test_eight_readers_see_whole_states_through_five_publications(home: Path, tmp_path: Path) -> None:
    plan = hostile.draw_plan(seed=3, people=30, messages_per_day=20)
    books = Rehearsal(home, "read_while_refreshed")
    first, second = datetime(2025, 3, 6, 12), datetime(2025, 3, 12, 12)
    plan.deliver(books.raw, first)
    published = [books.refresh(first).run_id]

    stop = tmp_path / "stop"
    with ExitStack() as stack:
        readers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", READER, kind, str(books.settings.published), str(stop)],
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for kind in READERS
        ]
        try:
            assert [reader.stdout.readline() for reader in readers] == ["reading\n"] * len(READERS)
            plan.deliver(books.raw, second)
            refreshed = books.refresh(second)
            assert refreshed.published, "a refresh of the rehearsal published nothing, so it proves nothing"
            published += [refreshed.run_id, *(publish_less(books, f"less-{number}") for number in range(4))]
        finally:
            stop.touch()
            seen = [json.loads(reader.stdout.readline()) for reader in readers]

    assert [one["errors"] for one in seen] == [[]] * len(READERS)
    for kind, one in zip(READERS, seen, strict=True):
        assert one["runs"] == [run for run in published if run in one["runs"]], "nobody goes back to an older state"
        assert len(one["runs"]) >= (2 if kind == "sqlalchemy" else 4), (kind, one)
        assert one["tables"] > 25 or kind != "sqlalchemy"


def publish_less(books: Rehearsal, run_id: str) -> str:
    """Publish what a refresh would have left with a customer and an order less."""
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
    time.sleep(1)  # or a reader that is slow to open it would never meet it
    return run_id
