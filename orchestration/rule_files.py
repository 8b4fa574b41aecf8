"""Rule files (CSV) and what their seeds' ymls say of each cell: types, keys, blanks, accepted values."""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.settings import PROJECT_DIR


@dataclass(frozen=True)
class Row:
    """A row of a rule file: its line in the file and its cells ('' where blank)."""

    file: Path
    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def is_true(self, column: str) -> bool:
        """Whether a boolean cell says true; a blank one does not."""
        return self.cells[column].lower() == "true"


@dataclass(frozen=True)
class Fault:
    """Why a rule can't be followed, and where."""

    file: Path
    line: int
    reason: str

    def __str__(self) -> str:
        shown = self.file.relative_to(PROJECT_DIR) if self.file.is_relative_to(PROJECT_DIR) else self.file
        return f"{shown}, line {self.line}: {self.reason}"


def read_rows(file: Path, columns: list[str]) -> tuple[list[Row], list[Fault]]:
    """The rows of a CSV file that has exactly these columns, in any order; or why it can't be read so."""
    line = 0
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle, strict=True)
            header = next(reader, [])
            line = reader.line_num
            said = [suggest("column", name, columns) for name in header if name not in columns]
            said += [f"the column {name} is missing" for name in columns if name not in header]
            if said or len(header) != len(columns):
                return [], [Fault(file, 1, "; ".join(said) or "a column comes twice")]
            rows = []
            for cells in reader:
                line = reader.line_num
                if len(cells) == len(header):
                    rows.append(Row(file, line, dict(zip(header, cells, strict=True))))
                elif cells:
                    return [], [Fault(file, line, f"the row has {len(cells)} cells, the header {len(header)}")]
            return rows, []
    except (csv.Error, UnicodeDecodeError) as error:
        return [], [Fault(file, line + 1, f"it can't be read as CSV in UTF-8: {error}")]


def cell_faults(rows: Iterable[Row], described: Mapping[str, Any]) -> Iterator[Fault]:
    """Cells of the wrong type or with blanks around them, blank cells, unaccepted values and repeated keys.

    described: the seed in its yml: `config.column_types`, and the data tests unique_combination, never_null and
    accepted_values.
    """
    types: Mapping[str, str] = described["config"]["column_types"]
    tests = [next(iter(test.items())) for test in described.get("data_tests", ())]
    keys = [test["arguments"]["columns"] for name, test in tests if name == "unique_combination"]
    needed = {c for _, test in tests for c in (*test["arguments"]["columns"], *test["arguments"].get("not_null", ()))}
    accepted = {
        column["name"]: test["accepted_values"]["arguments"]["values"]
        for column in described["columns"]
        for test in column.get("data_tests", ())
        if "accepted_values" in test
    }
    seen: dict[tuple[str, ...], int] = {}
    for row in rows:
        for column, kind in types.items():
            value = row[column]
            if value != value.strip():
                yield Fault(row.file, row.line, f"{column} is {value!r}: take out the blanks around it")
            elif not value and column in needed:
                yield Fault(row.file, row.line, f"{column} is blank")
            elif value and not is_of_type(value, kind):
                yield Fault(row.file, row.line, f"{column} is {value!r}, which is no {kind}")
            elif value and column in accepted and value not in accepted[column]:
                yield Fault(row.file, row.line, suggest(column, value, accepted[column]))
        for key in keys:
            values = (",".join(key), *(row[column] for column in key))
            earlier = seen.setdefault(values, row.line)
            if earlier != row.line:
                yield Fault(row.file, row.line, f"it repeats {', '.join(key)} of line {earlier}")


def is_of_type(text: str, kind: str) -> bool:
    """Whether a cell can be read as a column type of a seed. Other types than those named here hold any text."""
    if kind == "integer":
        digits = text.removeprefix("-")
        return digits.isascii() and digits.isdigit() and int(digits) < 2**31
    if kind == "double":
        return is_number(text)
    if kind == "boolean":
        return text.lower() in ("true", "false")
    return True


def is_number(text: str) -> bool:
    """Whether a text is a finite number, as SQL writes it."""
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def suggest(what: str, name: str, known: Iterable[str]) -> str:
    """Says that there is no such thing, and what may have been meant."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"there is no {what} {name!r}: " + (f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}")
