"""A PostgreSQL server of the tests' own: in a temporary folder, on a Unix socket, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

_numbers = count(1)


class Server:
    """A running server, reached through the socket in `folder`. Roles are shared by its databases."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def url(self, database: str, user: str) -> str:
        """What STRATA_POSTGRES would be."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def connect(self, database: str = "postgres", user: str = "postgres", **more: Any) -> psycopg.Connection:
        """A connection in autocommit mode."""
        return psycopg.connect(self.url(database, user), autocommit=True, **more)

    def new_database(self) -> str:
        """An empty database that belongs to `strata`, who is no superuser."""
        name = f"shop_{next(_numbers)}"
        with self.connect() as connection:
            connection.execute(f"create database {name} owner strata")
        return name


@contextmanager
def running() -> Iterator[Server]:
    """Start a server, as an unprivileged user where the tests run as root. Skips where PostgreSQL isn't installed."""
    user = _unprivileged() if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="strata-pg-", dir="/tmp") as name:  # a path of a socket is short
        folder = Path(name)
        folder.chmod(0o711)
        if user:
            shutil.chown(folder, user)

        def run(program: str, *arguments: str) -> None:
            subprocess.run([_program(program), "-D", folder / "data", *arguments], user=user, cwd=folder,
                           stdout=subprocess.DEVNULL, check=True)  # fmt: skip

        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync")
        run("pg_ctl", "--wait", f"--log={folder / 'log'}", "--options", options, "start")
        try:
            server = Server(folder)
            with server.connect() as connection:
                connection.execute("create role strata login createrole")
            yield server
        finally:
            run("pg_ctl", "--wait", "--mode=immediate", "stop")


def _unprivileged() -> str:
    return next(name for name in ("postgres", "nobody") if name in {entry.pw_name for entry in pwd.getpwall()})


def _program(name: str) -> str:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    found = shutil.which(name, path=os.pathsep.join([*map(str, reversed(folders)), os.environ["PATH"]]))
    if not found:
        pytest.skip(f"PostgreSQL isn't installed: no {name} on PATH or in /usr/lib/postgresql")
    return found
