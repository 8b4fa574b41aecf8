"""The lifetime value models alone, as tests use them, and what the CDNOW sample looks like to them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

import benchmarks.ltv_project


class LtvProject(benchmarks.ltv_project.LtvProject):
    """The project with dbt's environment set for as long as `monkeypatch` lasts, and texts of its macros replaced."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, replace: dict[str, str] | None = None) -> None:
        super().__init__(home)
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        self.create()
        for old, new in (replace or {}).items():
            for path in (home / "macros").rglob("*.sql"):
                path.write_text(path.read_text().replace(old, new))


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
