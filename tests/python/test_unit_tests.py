"""The unit tests of the models (`unit_tests:` in their ymls), on an empty warehouse.

`make refresh` leaves them out: they test the rules, not the data.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.settings import PROJECT_DIR


def test_the_rules_hold_at_their_boundaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    monkeypatch.setenv("STRATA_WAREHOUSE", str(tmp_path / "empty.duckdb"))
    monkeypatch.setenv("DBT_PROJECT_DIR", str(PROJECT_DIR))
    folders = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
    folders += ["--target-path", str(tmp_path / "target"), "--log-path", str(tmp_path / "logs")]
    parsed = dbtRunner().invoke(["--quiet", "parse", *folders])
    assert parsed.success, parsed.exception
    tested = sorted({unit_test.model for unit_test in parsed.result.unit_tests.values()})
    assert tested, "no model has unit tests"
    runner = dbtRunner(manifest=parsed.result)
    try:
        # The fixtures take their types from the tables that the tested models read.
        kinds = ["--resource-type", "model", "--resource-type", "seed"]
        tables = runner.invoke(["--quiet", "build", *folders, *kinds, "--select", *(f"+{model}" for model in tested)])
        assert tables.success, [node.message for node in tables.result if node.status == "error"]
        tests = runner.invoke(["--quiet", "test", *folders, "--select", "test_type:unit"])
    finally:
        DuckDBConnectionManager.close_all_connections()
    failed = {node.node.name: node.message for node in tests.result if node.status != "pass"}
    assert not failed, "\n".join(f"{name}: {message}" for name, message in failed.items())
    assert len(tests.result) == len(parsed.result.unit_tests)
