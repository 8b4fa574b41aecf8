"""Dagster's own storage in SQLite, with an event log that keeps its connections.

Dagster opens a connection for every event, and waits for the disk after each. A refresh has an event for every table
and every test, planned and done: about a thousand.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Self

from dagster import EventLogEntry
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SQLITE_BUSY_TIMEOUT_SECONDS,
    SqliteEventLogStorage,
)
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event

# What Dagster knows at once, such as all that a run plans, it hands over at once.
os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "1000")


class EventLog(SqliteEventLogStorage):
    """Dagster's event log: one file for all runs, one for each run; connections to the first and to one run are kept.

    A transaction is written to the write-ahead log and not waited for: a process that is killed loses nothing, a
    machine that loses power may lose the last events of its log.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
        self._found_tables: set[str] = set()
        self._joins = threading.local()
        super().__init__(base_dir, inst_data)

    def run_connection(self, run_id: str | None = None) -> Any:
        """A transaction in the file of a run."""
        return self._transaction(run_id)  # type: ignore[arg-type]

    def index_connection(self) -> AbstractContextManager[Connection]:
        """A transaction in the file of all runs."""
        return self._transaction(INDEX_SHARD_NAME)

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event in one transaction a file."""
        with self._joined():
            super().store_event(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events in one transaction a file. Raises what storing one of them does, and has stored none then."""
        with self._joined():
            super().store_event_batch(events)

    @contextmanager
    def _joined(self) -> Iterator[None]:
        """Until its end, this thread's transactions in a file are one."""
        if self._is_joined():
            yield
            return
        self._joins.connections = {}
        try:
            with ExitStack() as self._joins.stack:
                yield
        finally:
            del self._joins.connections

    def _is_joined(self) -> bool:
        return hasattr(self._joins, "connections")

    @contextmanager
    def _transaction(self, shard: str) -> Iterator[Connection]:
        if not self._is_joined():
            with self._engine(shard).begin() as connection:
                yield connection
            return
        connections = self._joins.connections
        if shard not in connections:
            connections[shard] = self._joins.stack.enter_context(self._engine(shard).begin())
        yield connections[shard]

    def _engine(self, shard: str) -> Engine:
        """The kept connections to a file, which is created where it isn't there."""
        if shard not in self._initialized_dbs:
            with self._connect(shard):
                pass
            self._forget([shard])  # to a file that was wiped
        with self._db_lock:
            if shard not in self._engines:
                self._forget([one for one in self._engines if one != INDEX_SHARD_NAME])
                engine = create_engine(
                    self.conn_string_for_shard(shard), connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
                )
                event.listen(engine, "connect", _do_not_wait)
                self._engines[shard] = engine
            return self._engines[shard]

    def has_table(self, table_name: str) -> bool:
        """Is there this table in the file of all runs? Asked for every event; once found, a table stays."""
        if table_name not in self._found_tables and super().has_table(table_name):
            self._found_tables.add(table_name)
        return table_name in self._found_tables

    def _forget(self, shards: Iterable[str]) -> None:
        for shard in shards:
            if engine := self._engines.pop(shard, None):
                engine.dispose()

    def dispose(self) -> None:
        """Close what is kept."""
        self._forget([*self._engines])
        super().dispose()


def _do_not_wait(connection: Any, _: Any) -> None:
    """Leave it to the operating system when a transaction reaches the disk."""
    connection.execute("pragma synchronous = normal")


class Storage(DagsterSqliteStorage):
    """All that Dagster remembers, in `base_dir`: as it comes, but for the event log."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        own = self._event_log_storage
        self._event_log_storage = EventLog(own._base_dir)
        own.dispose()

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """What dagster.yaml configures."""
        return cls.from_local(inst_data=inst_data, **config_value)
