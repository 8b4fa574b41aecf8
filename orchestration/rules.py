"""The rules: the seeds of seeds/rules, and a folder of a user's own files that stand in for some of them.

A user's rules lie outside the package: a folder of CSV files, each named like the seed that it stands in for. What the
seeds' ymls promise (types, keys, accepted values, ranges) is checked here before anything runs, so that a mistake is
said with its file, row and column, and not by a test that fails minutes later.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from orchestration import raw_files
from orchestration.audience_rules import audience_faults
from orchestration.errors import StrataError
from orchestration.settings import PROJECT_DIR, Settings

SEEDS_DIR = PROJECT_DIR / "seeds" / "rules"
FIELDS_FILE = PROJECT_DIR / "seeds" / "reference" / "audience_fields.csv"
#: Macro-segments that layers may be given for, though no rule draws them.
SHOWN_TOGETHER = ("*", "Other customers", "All customers")
#: More faults than this are not said at once.
FAULTS_SAID = 10

Row = dict[str, str | None]


@dataclass(frozen=True)
class Seed:
    """What the yml of a seed says of its columns."""

    name: str
    types: dict[str, str]
    keys: tuple[tuple[str, ...], ...]
    """Columns that are unique together; `lower(name)` where case makes no difference."""
    required: frozenset[str]
    accepted: dict[str, list[str]]
    ranges: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Table:
    """The rows of one rules file. A row's number is the one that a spreadsheet shows: the header is row 1."""

    path: Path
    columns: tuple[str, ...]
    rows: dict[int, Row]


@dataclass(frozen=True)
class Fault:
    """What is wrong, and where."""

    path: Path
    row: int
    column: str
    message: str

    def __str__(self) -> str:
        return f"{shown(self.path)}, row {self.row}, column {self.column}: {self.message}"


@dataclass(frozen=True)
class Rules:
    """The rules that hold: a user's own files where there are any, the package's for all others."""

    own: dict[str, Table]
    tables: dict[str, Table]

    @property
    def own_files(self) -> tuple[Path, ...]:
        """The files that are not the package's."""
        return tuple(table.path for table in self.own.values())


def find_folder(rules: str | None, header: str) -> Path | None:
    """The folder of own rules: named by the user, or by the data set's header (then below the project's); None without.

    Raises StrataError when there is no such folder.
    """
    folder = Path(rules).expanduser() if rules else PROJECT_DIR / header if header else None
    if folder is not None and not folder.is_dir():
        raise StrataError(
            f"There is no folder {folder}: RULES (or the header strata.rules of a data set) names a folder with files "
            f"like those in {shown(SEEDS_DIR)}."
        )
    return folder


def read_rules(folder: Path | None) -> Rules:
    """The rules that hold with the files of `folder`, checked. Raises StrataError with file, row and column."""
    seeds = read_seeds()
    tables = {name: read_table(SEEDS_DIR / f"{name}.csv", seed) for name, seed in seeds.items()}
    own: dict[str, Table] = {}
    for path in sorted(folder.glob("*.csv")) if folder else []:
        if path.stem not in seeds:
            raise StrataError(
                f"{shown(path)} stands in for no rules of the package: there are {', '.join(sorted(seeds))}."
            )
        own[path.stem] = read_table(path, seeds[path.stem])
    if folder and not own:
        raise StrataError(f"{shown(folder)} holds no rules: put CSV files there that are named like seeds/rules/*.csv.")
    tables |= own
    faults = [fault for name, seed in seeds.items() for fault in faults_of(tables[name], seed)]
    faults = faults or list(faults_between(tables))
    if faults:
        more = f"\nand {len(faults) - FAULTS_SAID} more" if len(faults) > FAULTS_SAID else ""
        raise StrataError("\n".join(str(fault) for fault in faults[:FAULTS_SAID]) + more)
    return Rules(own, tables)


def write_own_rules(settings: Settings, rules: Rules) -> dict[str, str]:
    """Write a user's own rules where dbt reads them; seed -> file of JSON lines, for the variable own_rules."""
    seeds = read_seeds()
    written = {}
    for name, table in rules.own.items():
        path = settings.manifest / "run_rules" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        raw_files.write_lines(path, [{c: row.get(c) for c in seeds[name].types} for row in table.rows.values()])
        written[name] = str(path)
    return written


def read_seeds() -> dict[str, Seed]:
    """What the ymls in seeds/rules say, by seed."""
    found = {}
    for path in sorted(SEEDS_DIR.glob("*.yml")):
        for seed in yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["seeds"]:
            found[seed["name"]] = _seed_of(seed)
    return found


def _seed_of(described: Mapping[str, Any]) -> Seed:
    keys, required = [], set()
    for test in described.get("data_tests", []):
        if "unique_combination" in test:
            arguments = test["unique_combination"]["arguments"]
            keys.append(tuple(arguments["columns"]))
            required |= {column_of(part) for part in (*arguments["columns"], *arguments.get("not_null", []))}
        elif "never_null" in test:
            required |= set(test["never_null"]["arguments"]["columns"])
    accepted, ranges = {}, {}
    for column in described["columns"]:
        for test in column.get("data_tests", []):
            if "accepted_values" in test:
                accepted[column["name"]] = [str(value) for value in test["accepted_values"]["arguments"]["values"]]
            elif "accepted_range" in test:
                limits = test["accepted_range"]["arguments"]
                ranges[column["name"]] = (limits.get("min_value", -math.inf), limits.get("max_value", math.inf))
    types = {name: str(kind).lower() for name, kind in described["config"]["column_types"].items()}
    return Seed(described["name"], types, tuple(keys), frozenset(required), accepted, ranges)


def read_table(path: Path, seed: Seed) -> Table:
    """The rows of a rules file; blank cells are None. A column may be left out if it may be blank.

    Raises StrataError for a file that is no such table.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise StrataError(f"{shown(path)} can't be read: {error}. Save it as CSV in UTF-8, with commas.") from error
    header = [name.strip() for name in lines[0]] if lines else []
    for name in header:
        if name not in seed.types:
            raise StrataError(
                f"{shown(path)}, row 1: there is no column {name!r}. The columns are {', '.join(seed.types)}."
            )
        if header.count(name) > 1:
            raise StrataError(f"{shown(path)}, row 1: the column {name} is there twice.")
    if missing := [name for name in seed.types if name in seed.required and name not in header]:
        raise StrataError(f"{shown(path)}, row 1: the column {missing[0]} is missing.")
    rows: dict[int, Row] = {}
    for number, cells in enumerate(lines[1:], start=2):
        if len(cells) > len(header):
            raise StrataError(
                f"{shown(path)}, row {number}: {len(cells)} cells, but the header has {len(header)}. "
                "Put a text that holds a comma in double quotes."
            )
        if any(cell.strip() for cell in cells):
            texts = [cell.strip() or None for cell in cells] + [None] * (len(header) - len(cells))
            rows[number] = dict(zip(header, texts, strict=True))
    return Table(path, tuple(header), rows)


def faults_of(table: Table, seed: Seed) -> Iterator[Fault]:
    """Cells that are blank, of another type, not accepted or out of range, and rows that repeat another."""
    for number, row in table.rows.items():
        for column, kind in seed.types.items():
            text = row.get(column)
            if text is None:
                if column in seed.required:
                    yield Fault(table.path, number, column, "it is blank")
                continue
            expected, is_valid = type_check(kind)
            if not is_valid(text):
                yield Fault(table.path, number, column, f"{text!r} is not {expected}")
            elif column in seed.accepted and text not in seed.accepted[column]:
                yield Fault(table.path, number, column, f"{text!r} is none of {', '.join(seed.accepted[column])}")
            elif column in seed.ranges and not seed.ranges[column][0] <= float(text) <= seed.ranges[column][1]:
                low, high = seed.ranges[column]
                limits = f"between {low:g} and {high:g}" if high < math.inf else f"{low:g} or more"
                yield Fault(table.path, number, column, f"{text} is not {limits}")
    for key in seed.keys:
        seen: dict[tuple[str | None, ...], int] = {}
        for number, row in table.rows.items():
            first = seen.setdefault(tuple(key_part(row, part) for part in key), number)
            if first != number:
                yield Fault(table.path, number, ", ".join(key), f"the same as in row {first}")


def column_of(part: str) -> str:
    """The column that a part of a key is about: value for lower(value)."""
    return part.removeprefix("lower(").removesuffix(")")


def key_part(row: Row, part: str) -> str | None:
    """A row's value for a part of a key."""
    text = row.get(column_of(part))
    return text.lower() if text and part.startswith("lower(") else text


def type_check(kind: str) -> tuple[str, Callable[[str], bool]]:
    """What a cell of a column of this type must be, in words, and whether a text is."""
    if kind in ("integer", "bigint"):
        return "a whole number", lambda text: re.fullmatch(r"[+-]?\d{1,9}", text) is not None
    if kind == "double" or kind.startswith("decimal"):
        return "a number (with a point, not a comma)", _is_number
    if kind == "boolean":
        return "true or false", lambda text: text.lower() in ("true", "false")
    if kind == "date":
        return "a date (YYYY-MM-DD)", _is_date
    return "a text", lambda text: True


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def _is_date(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def faults_between(tables: Mapping[str, Table]) -> Iterator[Fault]:
    """What is wrong between files that are right each for itself."""
    rules, layers = tables["macro_segment_rules"], tables["micro_segment_layers"]
    attributes = {row["attribute"] for row in tables["attributes"].rows.values()}
    macro_segments = {row["macro_segment"] for row in rules.rows.values()}
    for number, row in layers.rows.items():
        if row["layer"] != "0" and row["attribute"] not in attributes:
            known = ", ".join(sorted(str(name) for name in attributes))
            yield Fault(layers.path, number, "attribute", f"there is no attribute {row['attribute']!r}; known: {known}")
        if row["macro_segment"] not in macro_segments and row["macro_segment"] not in SHOWN_TOGETHER:
            yield Fault(
                layers.path, number, "macro_segment", f"no rule in {shown(rules.path)} draws {row['macro_segment']!r}"
            )
    if ("*", "0") not in {(row["macro_segment"], row["layer"]) for row in layers.rows.values()}:
        yield Fault(layers.path, 2, "layer", "there is no row `*,0,macro_segment,<minimum>` for the macro-segments")
    last = max(rules.rows, key=lambda number: int(str(rules.rows[number]["priority"])), default=1)
    for number, row in rules.rows.items():
        conditions = [name for name, text in row.items() if text and name not in ("priority", "macro_segment")]
        if number == last and conditions:
            yield Fault(
                rules.path, number, conditions[0], "the last rule must be blank here, so that nobody is left out"
            )
        if number != last and not conditions:
            yield Fault(
                rules.path, number, "priority", "a rule without a condition must be the last: no other is reached"
            )
    audiences = tables["audience_rules"]
    bands: dict[str, list[str]] = {}
    for row in (*tables["bands"].rows.values(), *tables["quantile_bands"].rows.values()):
        bands.setdefault(str(row["attribute"]), []).append(str(row["band"]))
    with FIELDS_FILE.open(encoding="utf-8", newline="") as file:
        fields = [(field["kind"], field["field"]) for field in csv.DictReader(file)]
    for number, column, message in audience_faults(audiences.rows, sorted(map(str, attributes)), bands, fields):
        yield Fault(audiences.path, number, column, message)


def shown(path: Path) -> str:
    """A path as the user knows it."""
    return str(path.relative_to(PROJECT_DIR)) if path.is_relative_to(PROJECT_DIR) else str(path)
