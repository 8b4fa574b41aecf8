"""The lifetime value models alone, run by dbt over given customer snapshots instead of the pipeline's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from orchestration.settings import PROJECT_DIR

CUSTOMER_SNAPSHOTS = pa.schema(
    [
        ("snapshot_date", pa.date32()),
        ("customer_id", pa.string()),
        ("is_buyer", pa.bool_()),
        ("orders", pa.int64()),
        ("net_revenue", pa.decimal128(18, 2)),
        ("frequency", pa.int64()),
        ("recency_days", pa.int64()),
        ("age_days", pa.int64()),
        ("repeat_spend", pa.decimal128(18, 2)),
    ]
)


#: What the back-test reads of the layer above it.
BACKTEST_MODELS = (
    "micro_segment_values", "micro_segment_outcomes", "micro_model_errors", "micro_customer_outcomes",
)  # fmt: skip


class LtvProject:
    """A temporary dbt project: the LTV models and macros as they are, and int_customer_snapshots from a file.

    A customer's macro-segment is what stands before a colon in its id, else Everybody; its micro-segment is one of 16.
    """

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, replace: dict[str, str] | None = None) -> None:
        self.home = home
        self.warehouse = home / "ltv.duckdb"
        self.input = home / "int_customer_snapshots.parquet"
        self.outcomes = home / "int_outcomes.parquet"
        monkeypatch.setenv("STRATA_WAREHOUSE", str(self.warehouse))
        monkeypatch.setenv("DBT_PROJECT_DIR", str(PROJECT_DIR))
        for name in ("dbt_project.yml", "profiles.yml"):
            shutil.copy(PROJECT_DIR / name, home / name)
        for folder in ("macros", "models/lifetime_value", "tests/generic"):
            shutil.copytree(PROJECT_DIR / folder, home / folder)
        shutil.copy(PROJECT_DIR / "tests/assert_predicted_ltv_grows_with_the_horizon.sql", home / "tests")
        shutil.copy(PROJECT_DIR / "models/docs.md", home / "models")
        for folder, models in (("quality", ("ltv_fits", "ltv_backtest")), ("micro_segments", BACKTEST_MODELS)):
            (home / "models" / folder).mkdir()
            for name in models:
                for suffix in ("sql", "yml"):
                    shutil.copy(PROJECT_DIR / f"models/{folder}/{name}.{suffix}", home / "models" / folder)
        (home / "models/intermediate").mkdir()
        (home / "models/intermediate/int_customer_snapshots.sql").write_text(
            "select *, cast(snapshot_date - cast(age_days as integer) as date) as first_order_date "
            "from read_parquet('{{ var('customer_snapshots_path') }}')"
        )
        shutil.copy(PROJECT_DIR / "models/intermediate/int_snapshot_dates.sql", home / "models/intermediate")
        (home / "models/intermediate/int_outcomes.sql").write_text(f"select * from read_parquet('{self.outcomes}')")
        (home / "models/micro_segments/micro_customer_snapshots.sql").write_text(
            "select *, 's' || left(md5(customer_id), 1) as micro_segment_id from {{ ref('macro_customer_snapshots') }}"
        )
        (home / "models/macro_segments").mkdir()
        (home / "models/macro_segments/macro_customer_snapshots.sql").write_text(
            "select snapshot_date, customer_id, case when customer_id like '%:%' then split_part(customer_id, ':', 1) "
            "else 'Everybody' end as macro_segment from {{ ref('int_customer_snapshots') }}"
        )
        for old, new in (replace or {}).items():
            for path in (home / "macros").rglob("*.sql"):
                path.write_text(path.read_text().replace(old, new))
        self.write([])

    def write(self, rows: list[dict] | pa.Table) -> None:
        """Make these rows the customer snapshots."""
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, schema=CUSTOMER_SNAPSHOTS)
        pq.write_table(table, self.input)

    def write_outcomes(self, table: pa.Table) -> None:
        """Make these rows int_outcomes."""
        pq.write_table(table, self.outcomes)

    def dbt(self, command: str, select: str, snapshots: Iterable[str], build: Iterable[str] | None = None, **values):
        """Run dbt over the selected models; fails the test with dbt's own messages."""
        snapshots = list(snapshots)
        values |= {
            "customer_snapshots_path": str(self.input),
            "snapshots": snapshots,
            "snapshots_to_build": snapshots if build is None else list(build),
        }
        where = ["--project-dir", str(self.home), "--profiles-dir", str(self.home)]
        where += ["--target-path", str(self.home / "target")]
        quiet = ["--quiet", "--log-level-file", "none", "--no-use-colors"]
        result = dbtRunner().invoke(
            [command, "--select", *select.split(), *where, *quiet, "--vars", json.dumps(values)]
        )
        # dbt keeps the warehouse open, with settings of its own.
        DuckDBConnectionManager.close_all_connections()
        messages = [f"{item.node.name}: {item.message}" for item in result.result or [] if item.status not in OK]
        assert result.success, messages or result.exception

    def register(self, schema: str, name: str, table: pa.Table) -> None:
        """Put a table into the warehouse where a model would have written it."""
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.register("given", table)
            connection.execute(f"create schema if not exists {schema}")
            connection.execute(f"create or replace table {schema}.{name} as select * from given")

    def query(self, sql: str) -> list[tuple]:
        """Rows of the temporary warehouse."""
        with duckdb.connect(str(self.warehouse)) as connection:
            return connection.execute(sql).fetchall()


OK = {"success", "pass", "no-op"}


def cdnow_purchase_days() -> duckdb.DuckDBPyRelation:
    """The CDNOW sample: customer_id, day, spend, one row per customer and purchase day. Skips without `lifetimes`."""
    package = find_spec("lifetimes")
    if package is None or not package.submodule_search_locations:
        pytest.skip("CDNOW comes with the PyPI package lifetimes (dependency group datasets)")
    path = Path(package.submodule_search_locations[0]) / "datasets" / "CDNOW_sample.txt"
    fields = [line.split() for line in path.read_text().splitlines()]
    lines = [(row[1], row[2], row[4]) for row in fields if len(row) == 5 and row[2].isdigit()]
    assert len(lines) == 6_919
    table = pa.table(dict(zip(("customer_id", "day", "spend"), map(list, zip(*lines, strict=True)), strict=True)))
    connection = duckdb.connect()
    connection.register("lines", table)
    return connection.sql(
        """
        select
            customer_id,
            strptime(day, '%Y%m%d')::date as purchase_date,
            sum(spend::decimal(18, 2)) as spend
        from lines
        group by all
        """
    )


def customer_snapshots(purchase_days: duckdb.DuckDBPyRelation, snapshots: Iterable[str]) -> pa.Table:
    """What int_customer_snapshots holds for these purchase days, at each snapshot."""
    dates = ", ".join(f"date '{day}'" for day in snapshots)
    return purchase_days.query(
        "days",
        f"""
        with snapshots as (select unnest([{dates}]) as snapshot_date),
        firsts as (select *, min(purchase_date) over (partition by customer_id) as first_date from days)
        select
            snapshot_date,
            customer_id,
            true as is_buyer,
            count(*) as orders,
            sum(spend)::decimal(18, 2) as net_revenue,
            count(*) - 1 as frequency,
            max(purchase_date) - first_date as recency_days,
            snapshot_date - first_date as age_days,
            coalesce(sum(spend) filter (purchase_date > first_date), 0)::decimal(18, 2) as repeat_spend
        from firsts inner join snapshots on purchase_date <= snapshot_date
        group by snapshot_date, customer_id, first_date
        """,
    ).to_arrow_table()


def outcomes(purchase_days: duckdb.DuckDBPyRelation, snapshots: Iterable[str], horizons: Iterable[int]) -> pa.Table:
    """What int_outcomes holds for these purchase days."""
    dates = ", ".join(f"date '{day}'" for day in snapshots)
    return purchase_days.query(
        "days",
        f"""
        select
            snapshot_date,
            horizon_days::integer as horizon_days,
            (snapshot_date + horizon_days::integer)::date as outcome_date,
            customer_id,
            count(*)::bigint as purchase_days,
            sum(spend)::decimal(18, 2) as net_revenue
        from
            days,
            (select unnest([{dates}]) as snapshot_date),
            (select unnest({list(horizons)}) as horizon_days)
        where purchase_date > snapshot_date and purchase_date <= snapshot_date + horizon_days::integer
        group by all
        """,
    ).to_arrow_table()
