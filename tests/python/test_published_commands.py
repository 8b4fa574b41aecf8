"""The commands on what is published: a shell, the atlas in the browser, the publication before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.publish import add_atlas
from orchestration.settings import PROJECT_DIR, Settings
from toy_publication import publish_demo, write_warehouse


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Two publications, of 5 and of 6 customers, the newer one with an atlas."""
    settings = Settings.of("demo", home=tmp_path_factory.mktemp("a home"))
    for run_id, rows in (("first", 5), ("second", 6)):
        write_warehouse(settings, rows=rows)
        publish_demo(settings, run_id, facts={"as_of": f"the day of {run_id}"})
    add_atlas(settings, lambda publication, target: target.write_text("<h1>atlas</h1>"))
    return settings


def run(settings: Settings, *command: str, typed: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "STRATA_HOME": str(settings.home), **more}
    return subprocess.run([sys.executable, "-m", "orchestration", *command], cwd=PROJECT_DIR, env=environment,
                          input=typed, capture_output=True, text=True, check=False)  # fmt: skip


def test_a_query_is_answered_from_the_marts_and_nothing_can_be_written(settings: Settings) -> None:
    answered = run(settings, "sql", "--query", 'select count(*) as "it\'s" from customers, quality.message_ledger')
    assert answered.returncode == 0, answered.stderr
    assert "it's" in answered.stdout and "36" in answered.stdout
    refused = run(settings, "sql", "--query", "delete from customers")
    assert refused.returncode == 1 and "read-only" in refused.stderr


def test_the_shell_answers_what_is_typed(settings: Settings) -> None:
    typed = run(settings, "sql", typed="select max(customer_id) + 70000 from customers;\nshow tables;\n")
    assert typed.returncode == 0, typed.stderr
    assert "70005" in typed.stdout and "message_ledger" in typed.stdout


def test_the_atlas_is_opened_under_the_link_that_stays(settings: Settings, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{tmp_path}/opened"\n')
    browser.chmod(0o755)
    opened = run(settings, "open", BROWSER=f"{browser} %s")
    atlas = settings.published / "atlas.html"
    assert opened.stdout == f"{atlas}\n", opened.stderr
    assert (tmp_path / "opened").read_text() == f"{atlas.as_uri()}\n"


@pytest.mark.parametrize("command", ["sql", "open", "rollback"])
def test_what_is_not_there_is_told(settings: Settings, command: str) -> None:
    told = run(settings, command, "--dataset", "other")
    assert told.returncode == 1
    assert "make refresh DATASET=other" in told.stderr and "Traceback" not in told.stderr


def test_a_rollback_says_what_is_published_now(settings: Settings) -> None:
    done = run(settings, "rollback")
    assert done.returncode == 0, done.stderr
    assert (
        "run first, as of the day of first, instead of run second" in done.stdout
        and "publishes the latest state again" in done.stdout
    )
    assert "5" in run(settings, "sql", "--query", "select count(*) from customers").stdout


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("refresh --size many", "Invalid value for '--size'"),
        ("check --as-of 2026-01-01", "No such option: --as-of"),
        ("explain", "Missing option '--customer'"),
        ("refreshen", "No such command 'refreshen'"),
        ("refresh --as-of yesterday", "AS_OF=yesterday is not a date"),
    ],
)
def test_a_slip_of_the_hand_is_said_without_a_traceback(settings: Settings, command: str, complaint: str) -> None:
    told = run(settings, *command.split())
    assert told.returncode in (1, 2)
    assert complaint in told.stderr
    assert "Traceback" not in told.stderr


def test_clean_takes_its_data_set_from_the_command_line_alone() -> None:
    for arguments, is_removed in (("DATASET=shop", True), ("", False)):
        done = subprocess.run(
            ["make", "--dry-run", "clean", *arguments.split()], cwd=PROJECT_DIR,
            env={**os.environ, "DATASET": "demo"}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert ("orchestration clean" in done.stdout) is is_removed


def test_a_dry_run_says_what_a_refresh_would_find(tmp_path: Path) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_text("customer,date,amount\nann,2026-01-31,5\nbob,2026-02-01,7.50\n,2026-02-02,1\n")
    told = run(
        Settings.of("orders_csv", home=tmp_path), "check", "--dataset", "orders_csv", "--source", str(orders),
        DBT_TARGET="published",  # as docs/bi.md has it set for `mf`
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "orders: 3" in told.stdout and "revenue: 13.50" in told.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["orders.csv"]
