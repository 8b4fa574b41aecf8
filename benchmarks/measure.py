"""What the benchmarks share: scripts in processes of their own, and the table of their figures.

CPU time and peak memory are then the operating system's figures, and nothing that one script loads or caches helps the
next one.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """One finished process: wall and CPU seconds, peak memory in MB, and what it printed last."""

    wall: float
    cpu: float
    peak: float
    said: str


def run(script: str, *arguments: str, **environment: str) -> Run:
    """Run a script in a Python of its own, with these environment variables.

    Raises subprocess.CalledProcessError when it fails.
    """
    command = [sys.executable, "-c", script, *arguments]
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, env={**os.environ, **environment})  # noqa: S603 - our scripts
        _, status, used = os.wait4(process.pid, 0)
        output.seek(0)
        said = output.read().decode().strip().splitlines()
    if status:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), command[0])
    return Run(
        time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, said[-1] if said else ""
    )


def median(runs: Iterable[Run], figure: str) -> float:
    """The median of one figure over several runs."""
    return statistics.median(getattr(one, figure) for one in runs)
