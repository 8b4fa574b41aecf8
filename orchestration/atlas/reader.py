"""A published file, opened as any reader would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from orchestration.errors import StrataError

# The days that figures are compared with, all of them kept snapshots; null where there is none. Sections read them by
# getvariable().
DAYS = """
    select
        max(calendar_date) filter (where calendar_date < $as_of) as month_end,
        max(calendar_date) filter (where calendar_date <= $as_of - interval 3 month) as quarter_before,
        max(calendar_date) filter (where calendar_date <= $as_of - interval 1 year) as year_before,
        (select min(calendar_date) from marts.calendar) as first_day
    from marts.calendar
    where is_month_end and is_snapshot
"""

# What several sections say in SQL. A segment leads to its card while it has customers.
MACROS = """
    create temp table segments_with_card as
        select micro_segment_id as id_of_card from marts.micro_segments where is_current;
    create temp macro segment(id, label) as {
        'id': case when id in (select id_of_card from segments_with_card) then id end,
        'macro': if(contains(label, ' / '), split_part(label, ' / ', 1) || ' / ', ''),
        'label': substr(label, 1 + if(contains(label, ' / '), instr(label, ' / ') + 2, 0))
    };
    -- Beside a segment of the same macro-segment, whose name once is enough.
    create temp macro segment_beside(id, label, other) as
        struct_update(
            segment(id, label),
            macro := if(split_part(label, ' / ', 1) = split_part(other, ' / ', 1), '', segment(id, label).macro)
        );
    create temp macro estimate(amount, low, high) as {'value': amount, 'low': low, 'high': high};
    create temp macro cause_text(cause) as case
        when cause = 'suppressed' then 'too few to be shown'
        when cause in ('new', 'became known', 'renamed', 'returned', 'merged', 'left', 'stayed') then cause
        when cause in ('segment opened', 'segment closed') then cause
        else replace(cause, '_', ' ') || ' changed'
    end;
"""


class Publication:
    """A publication and its day: `as_of`, `currency`, `dataset` (None in files that do not say)."""

    as_of: date
    currency: str
    dataset: str | None
    checks_passed: int | None

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self._db = db
        self.as_of, self.currency = self.row("select as_of, reporting_currency from quality.publication")
        names = [name for name, *_ in db.execute("select * from main._publication").description]
        about = dict(zip(names, self.row("select * from main._publication"), strict=True))
        self.dataset, self.checks_passed = about.get("dataset"), about.get("checks_passed")
        db.execute(MACROS)
        self.month_end, self.quarter_before, self.year_before, self.first_day = self.row(DAYS, as_of=self.as_of)
        for name in ("as_of", "month_end", "quarter_before", "year_before", "first_day"):
            db.execute(f"set variable {name} = cast($day as date)", {"day": getattr(self, name)})

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """All rows of a query. Its text is the section's own; values from anywhere else are parameters."""
        return self._db.execute(sql, parameters or None).fetchall()

    def row(self, sql: str, **parameters: Any) -> tuple[Any, ...]:
        """The only row of a query."""
        [row] = self.rows(sql, **parameters)
        return row

    def has(self, table: str) -> bool:
        """Does the file hold `schema.table`? Files of earlier versions may lack the newer ones."""
        schema, name = table.split(".")
        return bool(
            self.rows(
                "select 1 from duckdb_tables() where schema_name = $schema and table_name = $name",
                schema=schema,
                name=name,
            )
        )


@contextmanager
def opened(path: Path) -> Iterator[Publication]:
    """The publication in a file. Raises StrataError where there is none that can be read."""
    if not path.is_file():
        raise StrataError(f"there is no publication {path}: run `make refresh` first.")
    try:
        with duckdb.connect(str(path), read_only=True) as db:
            yield Publication(db)
    except (duckdb.CatalogException, duckdb.BinderException, duckdb.IOException) as error:
        [reason, *_] = str(error).splitlines()
        raise StrataError(f"{path} can't be shown: {reason}\nRun `make refresh` to publish it anew.") from error
