"""Dagster does what `make refresh` does: its jobs, schedule and sensors on a small shop, nothing stood in for."""

from __future__ import annotations

import json
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

import hostile
from orchestration import alerts, checks
from orchestration.settings import PROJECT_DIR
from rehearsal import Rehearsal, differences

#: What every script begins with: the code location, as Dagster loads it, and an instance that remembers.
PRELUDE = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from dagster import DagsterInstance, build_run_status_sensor_context, build_schedule_context, build_sensor_context
from orchestration import definitions as code
from orchestration.lock import writer_lock
instance = DagsterInstance.get()

def run(name, day=None):
    job = code.definitions.resolve_job_def(name)
    result = job.execute_in_process(instance=instance, partition_key=day, raise_on_error=False)
    made = result.get_asset_materialization_events()
    return result, {
        "success": result.success,
        "made": sorted({"/".join(event.asset_key.path) for event in made}),
        "partitions": sorted({event.partition for event in made if event.partition}),
        "checks": {
            "/".join([*one.asset_key.path, one.check_name]): (one.passed, one.severity.value)
            for one in result.get_asset_check_evaluations()
        },
        "publication": [
            {name: value.value for name, value in event.materialization.metadata.items()}
            for event in made if event.asset_key == code.PUBLICATION
        ],
    }

def tick(sensor, cursor=None):
    with build_sensor_context(instance, cursor=cursor, definitions=code.definitions) as context:
        found = sensor.evaluate_tick(context)
    return found
"""
REFRESH = """
said = {"assets": len(code.definitions.resolve_asset_graph().get_all_asset_keys())}
said["models"] = sum(
    one["resource_type"] in ("model", "seed") and one["config"]["materialized"] != "ephemeral"
    for one in code.MANIFEST["nodes"].values()
)
said["tests"] = sum(one["resource_type"] == "test" for one in code.MANIFEST["nodes"].values())
said["attached"] = len(list(code.dbt_models.check_keys))
with writer_lock(code.SETTINGS):
    said["locked"] = tick(code.new_raw_files).skip_message
messages = Path(code.SETTINGS.raw)
messages.rename(messages.with_name("elsewhere"))
said["without"] = tick(code.new_raw_files).skip_message
messages.with_name("elsewhere").rename(messages)
first = tick(code.new_raw_files)
[request] = first.run_requests
said["day"], said["job"] = request.partition_key, request.job_name
again = tick(code.new_raw_files, first.cursor)
said["again"] = [len(again.run_requests), again.skip_message]
_, said["first"] = run("refresh", request.partition_key)
said["after"] = tick(code.new_raw_files, first.cursor).skip_message
context = build_schedule_context(
    instance, scheduled_execution_time=datetime.now(UTC), repository_def=code.definitions.get_repository_def()
)
[request] = code.refresh_daily.evaluate_tick(context).run_requests
said["scheduled"] = [request.job_name, request.partition_key]
_, said["second"] = run("refresh", said["day"])
(code.SETTINGS.published / "atlas.html").unlink()
_, said["third"] = run("refresh", said["day"])
_, said["freshness"] = run("check_freshness")
print(json.dumps(said))
"""
BLOCKED = """
result, said = run("refresh", code.refresh_request(datetime.now(UTC)).partition_key)
with build_run_status_sensor_context(
    "alert_on_failure", result.get_run_failure_event(), instance, result.dagster_run
).for_run_failure() as context:
    code.alert_on_failure(context)
print(json.dumps(said))
"""
REBUILD = """
_, said = run("rebuild", sys.argv[1])
print(json.dumps(said))
"""


def dagster(books: Rehearsal, script: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """What a script says last, with the code location of a data set."""
    instance = books.settings.home / "dagster"
    instance.mkdir(exist_ok=True)
    shutil.copy(PROJECT_DIR / "orchestration" / "dagster.yaml", instance)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PRELUDE + script, *arguments],
        cwd=PROJECT_DIR, capture_output=True, text=True, check=False,
        env={
            **os.environ, "DATASET": books.settings.dataset, "RAW": str(books.raw),
            "STRATA_HOME": str(books.settings.home), "PYTHONPATH": str(PROJECT_DIR), "DAGSTER_HOME": str(instance),
            **environment,
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@contextmanager
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address that takes messages, and what it was told."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(302 if self.path == "/moved" else 200)
            self.send_header("Location", "/")
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", told
        finally:
            server.shutdown()
            thread.join()


def test_jobs_schedule_and_sensors_refresh_check_block_and_rebuild(home: Path, tmp_path: Path) -> None:
    plan = hostile.draw_plan(seed=3, people=30, messages_per_day=20)
    books = Rehearsal(home, "under_dagster")
    plan.deliver(books.raw, datetime(2025, 3, 21, 3))

    said = dagster(books, REFRESH)
    assert said["attached"] == said["tests"] > 250, "every dbt test is a check of some asset"
    assert said["assets"] == said["models"] + 3
    # The sensor starts one run for a new set of files, and none once the manifest knows them.
    assert said["locked"].startswith("The data set is being written")
    assert said["without"].startswith("No messages found in ")
    assert said["job"] == "refresh"
    assert said["again"][0] == 0
    assert said["after"] == "No raw file is new."
    first = said["first"]
    assert first["success"]
    assert len(first["made"]) == said["assets"]
    assert said["day"] in first["partitions"]
    failed = {name: found for name, found in first["checks"].items() if not found[0]}
    assert all(severity == "WARN" for _, severity in failed.values()), failed
    assert len(first["checks"]) == said["tests"] + len(checks.FRESHNESS) + 4 + 1
    assert first["checks"]["publication/publication_equals_warehouse"][0]
    assert [one["is_new"] for one in first["publication"]] == [True]
    assert not first["checks"]["raw_events/raw_freshness"][0], "its messages are of long ago"
    # A second run finds nothing new, and publishes nothing.
    assert said["scheduled"] == ["refresh", said["day"]]
    assert said["second"]["success"]
    assert said["second"]["made"] == ["raw_events"]
    assert set(said["second"]["checks"]) == {"raw_events/raw_freshness"}
    # What is missing of a publication is made, though nothing is new.
    assert said["third"]["success"]
    assert [one["is_new"] for one in said["third"]["publication"]] == [False]
    assert books.settings.published.joinpath("atlas.html").exists()
    assert set(said["freshness"]["checks"]) == {"raw_events/raw_freshness", "publication/publication_freshness"}
    assert said["freshness"]["success"]

    # A check in error stops the publication, and names itself; whoever is to be told is told.
    published = os.readlink(books.settings.published / "strata.duckdb")
    plan.deliver(books.raw, datetime(2025, 4, 8, 3))
    rules = tmp_path / "rules"
    rules.mkdir()
    levels = (PROJECT_DIR / "seeds" / "rules" / "check_levels.csv").read_text()
    (rules / "check_levels.csv").write_text(levels.replace("rejected_share,0.02,0.5", "rejected_share,0.0,0.000001"))
    with webhook() as (address, told):
        blocked = dagster(books, BLOCKED, RULES=str(rules), STRATA_ALERT_WEBHOOK=address)
    assert not blocked["success"]
    assert blocked["checks"]["quality/checks/rejected_share"] == [False, "ERROR"]
    assert "publication" not in blocked["made"]
    assert os.readlink(books.settings.published / "strata.duckdb") == published
    [message] = told
    assert "refresh of under_dagster failed" in message["text"]
    assert "rejected_share" in message["text"]

    # Anew from a day in the middle (and from the first one): what a rebuild in an empty warehouse gives.
    rebuilt = books.rebuilt("under_dagster_anew", datetime.now(UTC).replace(tzinfo=None))
    for day in (date(2025, 3, 13), *([hostile.FIRST_DAY] if os.environ.get("SLOW") else [])):
        done = dagster(books, REBUILD, day.isoformat())
        assert done["success"]
        assert books.query("select max(received_date) > '2025-04-01' from intermediate.int_order_entries") == [(True,)]
        assert differences(books, rebuilt) == []
    assert os.readlink(books.settings.published / "strata.duckdb") != published


class MailServer(socketserver.StreamRequestHandler):
    """Takes one mail as a server does, and keeps it."""

    taken: ClassVar[list[str]] = []

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        while command := self.rfile.readline().decode().split(maxsplit=1):
            if command[0].upper() == "DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                self.taken.append(b"".join(lines).decode())
            self.wfile.write(b"221 bye\r\n" if command[0].upper() == "QUIT" else b"250 ok\r\n")


@contextmanager
def mail_server() -> Iterator[int]:
    """The port at which one mail is taken."""
    MailServer.taken.clear()
    with socketserver.TCPServer(("127.0.0.1", 0), MailServer) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield server.server_address[1]
        thread.join()


def test_a_mail_is_sent_to_who_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRATA_ALERT_WEBHOOK", raising=False)
    monkeypatch.setenv("STRATA_ALERT_EMAIL", "ops@example.com")
    assert alerts.is_configured()
    with mail_server() as port:
        monkeypatch.setenv("STRATA_SMTP_URL", f"smtp://127.0.0.1:{port}")
        alerts.send("it failed", "because")
    [mail] = MailServer.taken
    for line in ("Subject: it failed", "To: ops@example.com", "From: ops@example.com", "because"):
        assert f"{line}\r\n" in mail


def test_an_address_that_has_moved_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRATA_ALERT_EMAIL", raising=False)
    monkeypatch.setattr(alerts, "PAUSE_SECONDS", 0)
    with webhook() as (address, told):
        monkeypatch.setenv("STRATA_ALERT_WEBHOOK", f"{address}moved")
        with pytest.raises(OSError, match="302"):
            alerts.send("it failed", "because")
    assert len(told) == 2, "tried twice"


def test_whoever_cannot_be_told_keeps_nobody_else_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "PAUSE_SECONDS", 0)
    monkeypatch.setenv("STRATA_ALERT_WEBHOOK", "http://127.0.0.1:9/")
    monkeypatch.setenv("STRATA_ALERT_EMAIL", "ops@example.com")
    with mail_server() as port:
        monkeypatch.setenv("STRATA_SMTP_URL", f"smtp://127.0.0.1:{port}")
        with pytest.raises(OSError, match="refused"):
            alerts.send("it failed", "because")
    assert len(MailServer.taken) == 1


def test_a_password_is_sent_through_tls_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server elsewhere that offers no STARTTLS; here `elsewhere` is this machine."""
    monkeypatch.delenv("STRATA_ALERT_WEBHOOK", raising=False)
    monkeypatch.setenv("STRATA_ALERT_EMAIL", "ops@example.com")
    with mail_server() as port:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", port))])
        monkeypatch.setenv("STRATA_SMTP_URL", f"smtp://me:secret@mail.example.com:{port}")
        with pytest.raises(ValueError, match="offers no STARTTLS"):
            alerts.send("it failed", "because")
    assert MailServer.taken == []


def test_nobody_is_told_where_nobody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STRATA_ALERT_WEBHOOK", "STRATA_ALERT_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    assert not alerts.is_configured()
    alerts.send("nothing", "happens")
    monkeypatch.setenv("STRATA_ALERT_WEBHOOK", "file:///etc/hosts")
    with pytest.raises(ValueError, match="is not an http"):
        alerts.send("nothing", "is read")
