"""The rules of seeds/rules, checked before anything runs: what cannot be followed is refused, with file and line."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import yaml

from orchestration.audience_rules import audience_faults
from orchestration.errors import StrataError
from orchestration.rule_files import Fault, Row, cell_faults, read_rows, suggest
from orchestration.settings import PROJECT_DIR

RULES_DIR = PROJECT_DIR / "seeds" / "rules"
FIELDS_FILE = PROJECT_DIR / "seeds" / "reference" / "audience_fields.csv"
MAX_FAULTS_SHOWN = 20


def check_rules(folder: Path = RULES_DIR, sensitive_allowed: Collection[str] = ()) -> None:
    """Raise StrataError with every rule that can't be followed; `folder` and `sensitive_allowed` as in faults_of."""
    faults = faults_of(folder, sensitive_allowed)
    if faults:
        lines = [f"  - {fault}" for fault in faults[:MAX_FAULTS_SHOWN]]
        if len(faults) > MAX_FAULTS_SHOWN:
            lines.append(f"  ... and {len(faults) - MAX_FAULTS_SHOWN} more")
        raise StrataError("Nothing was run, because some rules can't be followed:\n" + "\n".join(lines))


def faults_of(folder: Path = RULES_DIR, sensitive_allowed: Collection[str] = ()) -> list[Fault]:
    """What is wrong with a folder of rule files, in the order of files and lines.

    folder: CSV files with the names of those in seeds/rules; one that it lacks is the project's own.
    sensitive_allowed: the sensitive attributes that may be used, by name.
    """
    tables: dict[str, list[Row]] = {}
    faults: list[Fault] = []
    for yml in sorted(RULES_DIR.glob("*.yml")):
        own, packaged = folder / f"{yml.stem}.csv", yml.with_suffix(".csv")
        [described] = yaml.safe_load(yml.read_text(encoding="utf-8"))["seeds"]
        tables[yml.stem], unreadable = read_rows(
            own if own.is_file() else packaged, list(described["config"]["column_types"])
        )
        faults += unreadable or cell_faults(tables[yml.stem], described)
    # What spans files can only be judged when each is sound.
    return faults or sorted(
        [*_layer_faults(tables, sensitive_allowed), *_audience_faults(tables, sensitive_allowed)],
        key=lambda fault: (fault.file.name, fault.line),
    )


def _layer_faults(tables: dict[str, list[Row]], sensitive_allowed: Collection[str]) -> Iterator[Fault]:
    for row in tables["micro_segment_layers"]:
        if row["layer"] != "0" and (reason := _attribute_fault(row["attribute"], tables, sensitive_allowed)):
            yield Fault(row.file, row.line, reason)


def _audience_faults(tables: dict[str, list[Row]], sensitive_allowed: Collection[str]) -> Iterator[Fault]:
    fields, _ = read_rows(FIELDS_FILE, ["kind", "field", "description"])
    bands: dict[str, list[str]] = {}
    for row in (*tables["bands"], *tables["quantile_bands"]):
        bands.setdefault(row["attribute"], []).append(row["band"])
    return audience_faults(
        tables["audience_rules"],
        [(row["kind"], row["field"]) for row in fields],
        bands,
        lambda name: _attribute_fault(name, tables, sensitive_allowed),
    )


def _attribute_fault(name: str, tables: dict[str, list[Row]], sensitive_allowed: Collection[str]) -> str | None:
    """Why an attribute can't be used; None when it can."""
    found = next((row for row in tables["attributes"] if row["attribute"] == name), None)
    if found is None:
        return suggest("attribute", name, [row["attribute"] for row in tables["attributes"]])
    if found.is_true("is_sensitive") and name not in sensitive_allowed:
        return f"{name} is sensitive: name it in the variable sensitive_attributes_allowed to use it"
    return None
