"""A warehouse of two small marts, and its publications."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb

from orchestration.publish import Publication, publish
from orchestration.settings import Settings


def write_warehouse(settings: Settings, rows: int = 5, extra: str = "") -> None:
    """Two marts and a table behind them; `generation` is the same in every row of both marts."""
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    settings.warehouse.unlink(missing_ok=True)
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute(
            f"""
            create schema marts;
            create schema quality;
            create schema intermediate;
            create table marts.customers as
                select i as customer_id, {rows} as generation, cast(i as decimal(18, 2)) as "order"
                from range({rows}) as t (i) order by hash(i);
            create table quality.message_ledger as
                select date '2026-01-01' as received_date, {rows} as generation from range({rows});
            create table intermediate.int_people as select 'a@example.com' as email;
            {extra}
            """
        )


def model(schema: str, name: str, *columns: str, **more: Any) -> dict[str, Any]:
    return {
        "resource_type": "model",
        "schema": schema,
        "name": name,
        "alias": name,
        "description": f"It's {name}. One row per thing.",
        "columns": {column: {"name": column, "description": f"The {column}, described."} for column in columns},
        **more,
    }


def a_manifest() -> dict[str, Any]:
    nodes = [
        model(
            "marts",
            "customers",
            "order",
            "customer_id",
            "generation",
            config={"meta": {"publication_order": ["customer_id"]}},
        ),
        model("quality", "message_ledger", "received_date", "generation"),
        model("intermediate", "int_people", "email"),
        {"resource_type": "test", "schema": "marts", "name": "unique_customers"},
    ]
    return {
        "metadata": {"dbt_version": "1.11.0"},
        "nodes": {f"{node['resource_type']}.strata.{node['name']}": node for node in nodes},
    }


def publish_demo(settings: Settings, run_id: str = "first", **more: Any) -> Publication:
    return publish(settings, manifest=a_manifest(), run_id=run_id, **more)


def link(settings: Settings) -> Path:
    return settings.published / "strata.duckdb"


def query(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(os.path.realpath(link(settings)), read_only=True) as connection:
        return connection.execute(sql).fetchall()
