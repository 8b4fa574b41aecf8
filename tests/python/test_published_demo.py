"""What analysts do with a publication: the example queries, metrics and dbt's documentation, on a small demo shop."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration import datasets
from orchestration.docs import write_docs
from orchestration.errors import StrataError
from orchestration.settings import PROJECT_DIR, Settings
from rehearsal import Rehearsal

NOW = datetime(2026, 3, 3, 12)
SIZE = 2_000
QUERIES = sorted((PROJECT_DIR / "examples" / "queries").glob("*.sql"))
#: Metrics whose figures add up over days, and the SQL that they stand for.
FLOWS = {
    "orders": "count_if(order_status <> 'cancelled')",
    "revenue": "sum(revenue)",
    "net_revenue": "sum(net_revenue)",
    "aov": "sum(revenue) / count_if(order_status <> 'cancelled')",
}
#: Metrics of a day's state.
STOCKS = {
    "customers": "count(*)",
    "buyers": "count_if(is_buyer)",
    "active_buyers": "count_if(orders_365d > 0)",
    "predicted_ltv_365d": "sum(predicted_ltv_365d)",
    "predicted_ltv_365d_per_buyer": "sum(predicted_ltv_365d) / count_if(is_buyer)",
    "established_buyers": "count_if(age_weeks >= 12.857142)",
    "retained_buyers": "count_if(age_weeks >= 12.857142 and orders_90d > 0)",
    "retention_90d": "avg(cast(orders_90d > 0 as integer)) filter (where age_weeks >= 12.857142)",
}


@pytest.fixture(scope="module")
def demo(home: Path) -> Rehearsal:
    """The demo, published."""
    books = Rehearsal(home, "demo")
    datasets.prepare(books.settings, source=None, size=SIZE, until=None, now=NOW.replace(tzinfo=UTC))
    books.refresh(NOW)
    return books


def published(demo: Rehearsal, sql: str) -> list[tuple[Any, ...]]:
    """Rows of what readers see."""
    with duckdb.connect(str(demo.settings.published / "strata.duckdb"), read_only=True) as db:
        return db.execute(sql).fetchall()


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_an_example_query_is_short_and_has_an_answer(path: Path, demo: Rehearsal) -> None:
    comment, *lines = path.read_text().strip().splitlines()
    assert comment.startswith("-- ")
    assert comment.endswith(("?", "."))
    assert len(lines) <= 12
    assert published(demo, "\n".join(lines))


@pytest.fixture(scope="module")
def project(demo: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's folder as `mf` wants it, with the target folder of the demo's refresh."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("dbt_project.yml", "profiles.yml", "macros", "models", "seeds", "tests"):
        (folder / name).symlink_to(PROJECT_DIR / name)
    (folder / "target").symlink_to(demo.settings.home / "target")
    return folder


def mf(project: Path, demo: Rehearsal, *arguments: str) -> str:
    """What `mf` says, on the publication."""
    own = {"DBT_TARGET": "published", "DATASET": demo.settings.dataset, "STRATA_HOME": str(demo.settings.home)}
    done = subprocess.run(
        [Path(sys.executable).with_name("mf"), *arguments],
        cwd=project, env={**os.environ, **own}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_semantic_models_are_valid_on_what_is_published(project: Path, demo: Rehearsal) -> None:
    assert "ERRORS: 0" in mf(project, demo, "validate-configs")


def test_metrics_are_what_the_marts_say(project: Path, demo: Rehearsal, tmp_path: Path) -> None:
    """By fiscal period: sums over its days; states as of its last snapshot."""
    metrics = [*FLOWS, *STOCKS, "email_contactable_customers"]
    mf(project, demo, "query", "--quiet", "--metrics", ",".join(metrics), "--group-by", "metric_time__fiscal_period",
       "--csv", str(tmp_path / "metrics.csv"))  # fmt: skip
    with open(tmp_path / "metrics.csv") as file:
        found = {row.pop("metric_time__fiscal_period"): row for row in csv.DictReader(file)}
    flows, stocks = (", ".join(f"{sql} as {name}" for name, sql in one.items()) for one in (FLOWS, STOCKS))
    expected = published(
        demo,
        f"""
        with days as (select calendar_date, fiscal_period from marts.calendar),
        flows as (
            select fiscal_period, {flows} from marts.orders inner join days on order_date = calendar_date group by all
        ),
        last_days as (
            select fiscal_period, max(calendar_date) as snapshot_date
            from days inner join marts.customer_snapshots on calendar_date = snapshot_date group by all
        ),
        stocks as (
            select fiscal_period, {stocks}
            from marts.customer_snapshots inner join last_days using (snapshot_date) group by all
        ),
        reach as (
            select fiscal_period, sum(email_contactable_customers)
            from marts.micro_segment_snapshots inner join last_days using (snapshot_date) group by all
        )
        from flows full join stocks using (fiscal_period) full join reach using (fiscal_period)
        """,
    )
    assert len(expected) == 14
    assert {period: [float(row[name] or "nan") for name in metrics] for period, row in found.items()} == {
        period: pytest.approx([float("nan") if one is None else float(one) for one in row], rel=1e-9, nan_ok=True)
        for period, *row in expected
    }


def test_metrics_are_split_by_what_customers_are(project: Path, demo: Rehearsal, tmp_path: Path) -> None:
    mf(project, demo, "query", "--quiet", "--metrics", "net_revenue,customers", "--group-by",
       "customer_id__macro_segment", "--csv", str(tmp_path / "metrics.csv"))  # fmt: skip
    with open(tmp_path / "metrics.csv") as file:
        found = {
            row["customer_id__macro_segment"]: (float(row["net_revenue"] or 0), int(row["customers"] or 0))
            for row in csv.DictReader(file)
        }
    expected = published(
        demo,
        """
        with orders as (select customer_id, sum(net_revenue) as net_revenue from marts.orders group by all)
        select coalesce(macro_segment, ''), coalesce(sum(orders.net_revenue), 0), count(customers.customer_id)
        from marts.customers full join orders using (customer_id) group by macro_segment
        """,
    )
    assert found == {segment: (float(revenue), customers) for segment, revenue, customers in expected}


def test_the_documentation_is_one_page_without_paths_and_requests(demo: Rehearsal) -> None:
    page = write_docs(demo.settings)
    assert page == demo.settings.published / "docs.html"
    text = page.read_text(encoding="utf-8")
    for said in ("Of the buyers whose", "The people that the business knows", "decimal(18,2)", "The atlas", "churn_risk"):
        assert said in text
    for secret in (str(demo.settings.home), str(PROJECT_DIR), str(Path.home()), "file://"):
        assert secret not in text


def test_documentation_of_nothing_says_what_to_do(home: Path) -> None:
    with pytest.raises(StrataError, match="make refresh DATASET=nowhere"):
        write_docs(Settings.of("nowhere", home=home))
