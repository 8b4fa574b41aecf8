"""The example queries are short, and run on what is published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import yaml

from orchestration.publish import PUBLIC_SCHEMAS
from orchestration.settings import PROJECT_DIR

QUERIES = sorted((PROJECT_DIR / "examples" / "queries").glob("*.sql"))


@pytest.fixture(scope="module")
def publication() -> Iterator[duckdb.DuckDBPyConnection]:
    """All published tables with the columns and types of their contracts, and no rows."""
    with duckdb.connect() as db:
        for schema in PUBLIC_SCHEMAS:
            db.execute(f"create schema {schema}")
            for path in (PROJECT_DIR / "models" / schema).glob("*.yml"):
                for model in yaml.safe_load(path.read_text())["models"]:
                    columns = ", ".join(f"{column['name']} {column['data_type']}" for column in model["columns"])
                    db.execute(f"create table {schema}.{model['name']} ({columns})")
        yield db


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_an_example_query_is_short_and_runs(path: Path, publication: duckdb.DuckDBPyConnection) -> None:
    comment, *lines = path.read_text().strip().splitlines()
    assert comment.startswith("-- ")
    assert len(lines) <= 12
    assert publication.execute("\n".join(lines)).description
