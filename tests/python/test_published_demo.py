"""What analysts do with a publication: the example queries, metrics and dbt's documentation, on a small demo shop."""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.docs import write_docs
from orchestration.errors import StrataError
from orchestration.settings import PROJECT_DIR, Settings
from rehearsal import Rehearsal

QUERIES = sorted((PROJECT_DIR / "examples" / "queries").glob("*.sql"))
MARTS = "select schema_name, table_name from duckdb_tables() where schema_name in ('marts', 'quality') order by all"
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
METRICS = [*FLOWS, *STOCKS, "email_contactable_customers"]


def published(demo: Rehearsal, sql: str) -> list[tuple[Any, ...]]:
    """Rows of what readers see."""
    with duckdb.connect(str(demo.settings.published / "strata.duckdb"), read_only=True) as db:
        return db.execute(sql).fetchall()


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_an_example_query_is_short_and_has_an_answer(path: Path, demo: Rehearsal) -> None:
    text = path.read_text().strip()
    comments = list(itertools.takewhile(lambda line: line.startswith("-- "), text.splitlines()))
    assert comments
    assert comments[0].endswith(("?", "."))
    assert comments[-1].endswith(("?", "."))
    assert len(text.splitlines()) - len(comments) <= 12
    assert published(demo, text)


@pytest.fixture(scope="module")
def shuffled(demo: Rehearsal) -> Iterator[duckdb.DuckDBPyConnection]:
    """The publication with the rows of every mart in another order."""
    with duckdb.connect() as db:
        db.execute(f"attach '{demo.settings.published / 'strata.duckdb'}' as published (read_only)")
        db.execute("select setseed(0.5)")
        for schema, mart in published(demo, MARTS):
            db.execute(f"create schema if not exists {schema}")
            db.execute(f"create table {schema}.{mart} as from published.{schema}.{mart} order by random()")
        yield db


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_an_example_query_says_the_order_of_its_rows(
    path: Path, demo: Rehearsal, shuffled: duckdb.DuckDBPyConnection
) -> None:
    """Above all where there is a limit: else rows with the same value are in or out by chance."""
    query = path.read_text()
    assert shuffled.execute(query).fetchall() == published(demo, query)


def test_every_mart_is_in_the_readme_and_in_the_changelog(demo: Rehearsal) -> None:
    readme = (PROJECT_DIR / "README.md").read_text()
    section = readme.split("\n## How to read the marts\n")[1].split("\n## ")[0]
    table = " ".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    [about_quality] = [line for line in section.splitlines() if line.startswith("Schema `quality`")]
    changelog = (PROJECT_DIR / "CHANGELOG.md").read_text()
    names = published(demo, MARTS)
    assert {schema for schema, _ in names} == {"marts", "quality"}
    assert [mart for schema, mart in names if f"`{mart}`" not in (table if schema == "marts" else about_quality)] == []
    assert [mart for _, mart in names if not re.search(f"`(quality\\.)?{mart}`", changelog)] == []


#: Commands of `mf` in one process: importing it takes longer than all of them.
MF = """
import json, sys
from dbt_metricflow.cli.main import cli
for arguments in json.loads(sys.argv[1]):
    cli.main(arguments, standalone_mode=False)
"""


@pytest.fixture(scope="module")
def answers(demo: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    """What `mf` says of the publication, by what it is grouped by, once it has found the definitions valid."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("dbt_project.yml", "profiles.yml", "macros", "models", "seeds", "tests"):
        (folder / name).symlink_to(PROJECT_DIR / name)
    (folder / "target").symlink_to(demo.settings.home / "target")
    groupings = {"metric_time__fiscal_period": METRICS, "customer_id__macro_segment": ["net_revenue", "customers"]}
    commands = [["validate-configs"]] + [
        ["query", "--quiet", "--metrics", ",".join(metrics), "--group-by", grouping, "--csv", f"{grouping}.csv"]
        for grouping, metrics in groupings.items()
    ]
    own = {
        "DBT_TARGET": "published", "DBT_PROJECT_DIR": str(folder), "DATASET": demo.settings.dataset,
        "STRATA_HOME": str(demo.settings.home),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", MF, json.dumps(commands)],
        cwd=folder, env={**os.environ, **own}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return {grouping: list(csv.DictReader((folder / f"{grouping}.csv").open())) for grouping in groupings}


def test_metrics_are_what_the_marts_say(answers: dict[str, list[dict[str, str]]], demo: Rehearsal) -> None:
    """By fiscal period: sums over its days; states as of its last snapshot."""
    found = {
        row["metric_time__fiscal_period"]: [float(row[name] or "nan") for name in METRICS]
        for row in answers["metric_time__fiscal_period"]
    }
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
    assert len(expected) > 12
    assert found == {
        period: pytest.approx([float("nan") if one is None else float(one) for one in row], rel=1e-9, nan_ok=True)
        for period, *row in expected
    }


def test_metrics_are_split_by_what_customers_are_now(answers: dict[str, list[dict[str, str]]], demo: Rehearsal) -> None:
    found = {
        row["customer_id__macro_segment"]: (float(row["net_revenue"] or 0), int(row["customers"] or 0))
        for row in answers["customer_id__macro_segment"]
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
    for said in ("retained by established buyers", "The people that the business knows", "DECIMAL(18,2)", "The atlas"):
        assert said in text
    assert '"send_anonymous_usage_stats": false' in text  # else dbt's page calls home
    for secret in (str(demo.settings.home), str(PROJECT_DIR), str(Path.home()), "file://"):
        assert secret not in text


def test_documentation_of_nothing_says_what_to_do(home: Path) -> None:
    with pytest.raises(StrataError, match="make refresh DATASET=nowhere"):
        write_docs(Settings.of("nowhere", home=home))
