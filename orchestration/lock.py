"""One writer at a time: an operating-system lock, so a killed run never blocks the next."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from orchestration.errors import RetryableError
from orchestration.settings import Settings

POLL_SECONDS = 0.1


@contextmanager
def writer_lock(settings: Settings, timeout_seconds: float = 600.0) -> Iterator[None]:
    """Hold the exclusive right to write one dataset's warehouse and publication.

    The lock is `flock` on `warehouse/<dataset>.lock`; the kernel releases it when the holder ends, however it ends.
    The file's text (pid and start time of the holder) is only for messages; the file itself stays.

    Waits up to `timeout_seconds`, saying on stderr for whom. Raises RetryableError when that passes.
    """
    path = settings.warehouse.with_suffix(".lock")
    # What Strata makes of these is for nobody else; folders that are there keep the rights that they were given.
    for name in ("raw", "manifests", "warehouse", "proposals", "logs"):
        (settings.home / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout_seconds
    is_told = False
    with path.open("a+") as file:
        while not _is_taken(file.fileno()):
            pid, started = _holder(path)
            since = f"process {pid}, started {started}" if pid else "another process"
            if time.monotonic() >= deadline:
                raise RetryableError(
                    f"dataset {settings.dataset!r} is still being written by {since} "
                    f"(waited {timeout_seconds:g} s for {path}). Wait until it ends, or end it"
                    + (f" with `kill {pid}`" if pid else "")
                    + ", then start again: what it left half done is cleaned up."
                )
            if not is_told:
                print(
                    f"dataset {settings.dataset!r} is being written by {since}; waiting up to {timeout_seconds:g} s.",
                    file=sys.stderr,
                    flush=True,
                )
                is_told = True
            time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))
        holder = {"pid": os.getpid(), "started": datetime.now(UTC).isoformat(sep=" ", timespec="seconds")}
        _write(file.fileno(), json.dumps(holder))
        try:
            yield
        finally:
            _write(file.fileno(), "")


def is_locked(settings: Settings) -> bool:
    """Is the data set being written now?"""
    path = settings.warehouse.with_suffix(".lock")
    if not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(path: Path) -> tuple[int | None, str]:
    """Pid and start time as the holder wrote them; (None, "") in the instant before it has."""
    try:
        holder = json.loads(path.read_text())
        return int(holder["pid"]), str(holder["started"])
    except (ValueError, KeyError, TypeError):
        return None, ""


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
