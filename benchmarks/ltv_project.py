"""The lifetime value models alone, run by dbt over given customer snapshots instead of the pipeline's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

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
#: What has to be there before anything is fitted or scored.
INPUT = "int_customer_snapshots macro_customer_snapshots"
FIT = "ltv_sufficient_statistics ltv_spend_statistics ltv_new_parameter_fits ltv_parameter_fits"
SCORING = (
    "ltv_scoring_fits ltv_factor_keys ltv_nodes ltv_factors ltv_order_estimates ltv_spend_estimates "
    "ltv_value_estimates ltv_customer_snapshots"
)
#: What the back-test reads of the layer above it.
BACKTEST_MODELS = (
    "micro_segment_values", "micro_segment_outcomes", "micro_model_errors", "micro_customer_outcomes",
)  # fmt: skip
OK = {"success", "pass", "no-op"}


class LtvProject:
    """A temporary dbt project in a folder: the LTV models and macros as they are, int_customer_snapshots from a file.

    A customer's macro-segment is what stands before a colon in its id, else Everybody; its micro-segment is one of 16.
    dbt needs `environment`.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.warehouse = home / "ltv.duckdb"
        self.input = home / "int_customer_snapshots.parquet"
        self.outcomes = home / "int_outcomes.parquet"
        self.environment = {"STRATA_WAREHOUSE": str(self.warehouse), "DBT_PROJECT_DIR": str(PROJECT_DIR)}

    def create(self) -> None:
        """Make the project's files, with no customers."""
        home = self.home
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
        self.write([])

    def write(self, rows: list[dict] | pa.Table) -> None:
        """Make these rows the customer snapshots."""
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, schema=CUSTOMER_SNAPSHOTS)
        pq.write_table(table, self.input)

    def write_outcomes(self, table: pa.Table) -> None:
        """Make these rows int_outcomes."""
        pq.write_table(table, self.outcomes)

    def dbt(
        self,
        command: str,
        select: str,
        snapshots: Iterable[str],
        build: Iterable[str] | None = None,
        callbacks: Iterable[Callable[[Any], None]] = (),
        **values: Any,
    ) -> list[Any]:
        """Run dbt over the selected models; its results. Raises RuntimeError with dbt's own messages."""
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # imported late: it takes seconds
        from dbt.cli.main import dbtRunner

        snapshots = list(snapshots)
        values |= {
            "customer_snapshots_path": str(self.input),
            "snapshots": snapshots,
            "snapshots_to_build": snapshots if build is None else list(build),
        }
        where = ["--project-dir", str(self.home), "--profiles-dir", str(self.home)]
        where += ["--target-path", str(self.home / "target")]
        quiet = ["--quiet", "--log-level-file", "none", "--no-use-colors"]
        result = dbtRunner(callbacks=list(callbacks)).invoke(
            [command, "--select", *select.split(), *where, *quiet, "--vars", json.dumps(values)]
        )
        # dbt keeps the warehouse open, with settings of its own.
        DuckDBConnectionManager.close_all_connections()
        if not result.success:
            messages = [f"{item.node.name}: {item.message}" for item in result.result or [] if item.status not in OK]
            raise RuntimeError("\n".join(messages) or str(result.exception))
        return list(result.result or [])

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
