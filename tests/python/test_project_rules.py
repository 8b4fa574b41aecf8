"""Rules of the dbt project that dbt-bouncer has no check for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.publish import PUBLIC_SCHEMAS, _is_private_name
from orchestration.settings import PROJECT_DIR


def faults(models: Path) -> list[str]:
    """Models without a yml of the same name beside them, and ymls that describe another model or none."""
    found = []
    files = sorted(file for suffix in ("sql", "py") for file in models.rglob(f"*.{suffix}"))
    for file in files:
        yml = file.with_suffix(".yml")
        name = file.relative_to(models)
        if not yml.is_file():
            found.append(f"{name} has no {yml.name} beside it")
            continue
        described = [model["name"] for model in (yaml.safe_load(yml.read_text()) or {}).get("models") or ()]
        if described != [file.stem]:
            found.append(f"{name.with_suffix('.yml')} describes {described or 'nothing'}, not {file.stem} alone")
    stems = {file.with_suffix("") for file in files}
    for yml in sorted(models.rglob("*.yml")):
        content = yaml.safe_load(yml.read_text()) or {}
        if content.get("models") and yml.with_suffix("") not in stems:
            found.append(f"{yml.relative_to(models)} describes models but lies beside no model of its name")
    return found


def columns_of(folder: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(layer, model, column as its yml describes it) of every model below a folder of models."""
    for yml in sorted(folder.rglob("*.yml")):
        for model in (yaml.safe_load(yml.read_text()) or {}).get("models") or ():
            for column in model.get("columns") or ():
                yield yml.relative_to(folder).parts[0], model["name"], column


def privacy_faults(folder: Path) -> list[str]:
    """Columns below the marts that hold personal data without a tag that says so, and marts that show such a column."""
    columns = [(layer, model, one["name"], is_private(one)) for layer, model, one in columns_of(folder)]
    tagged = {name for layer, _, name, is_tagged in columns if is_tagged and layer not in PUBLIC_SCHEMAS}
    found = []
    for layer, model, name, is_tagged in columns:
        if layer in PUBLIC_SCHEMAS:
            if name in tagged or is_tagged:
                found.append(f"{model}.{name} is shown, and is personal data")
        elif not is_tagged and (name in tagged or _is_private_name(name)):
            found.append(f"{model}.{name} is not tagged as personal data")
    return found


def is_private(column: dict[str, Any]) -> bool:
    """Is the column tagged?"""
    return ((column.get("config") or {}).get("meta") or {}).get("pii") is True


def test_personal_data_is_tagged_below_the_marts_and_in_none_of_them() -> None:
    assert privacy_faults(PROJECT_DIR / "models") == []
    tagged = [f"{model}.{one['name']}" for _, model, one in columns_of(PROJECT_DIR / "models") if is_private(one)]
    assert {"stg_messages.rejected_message", "stg_trait_messages.birth_date", "int_actor_days.actor_id"} <= {*tagged}


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"staging/a": "{name: email}"}, "a.email is not tagged as personal data"),
        (
            {"staging/a": "{name: who, config: {meta: {pii: true}}}", "intermediate/b": "{name: who}"},
            "b.who is not tagged as personal data",
        ),
        (
            {"staging/a": "{name: who, config: {meta: {pii: true}}}", "marts/b": "{name: who}"},
            "b.who is shown, and is personal data",
        ),
        ({"quality/b": "{name: who, config: {meta: {pii: true}}}"}, "b.who is shown, and is personal data"),
    ],
)
def test_a_breach_of_privacy_is_found(tmp_path: Path, columns: dict[str, str], fault: str) -> None:
    for model, column in columns.items():
        (tmp_path / model).parent.mkdir(exist_ok=True)
        (tmp_path / f"{model}.yml").write_text(f"models: [{{name: {Path(model).name}, columns: [{column}]}}]")
    assert privacy_faults(tmp_path) == [fault]


def unmeasured(folder: Path) -> list[str]:
    """Marts with a number of customers per segment or audience that neither have a test of the minimum nor a flag."""
    found = []
    for yml in sorted(folder.glob("*.yml")):
        for model in (yaml.safe_load(yml.read_text()) or {}).get("models") or ():
            names = {column["name"] for column in model.get("columns") or ()}
            tests = [test if isinstance(test, str) else next(iter(test)) for test in model.get("data_tests") or ()]
            is_sized = any(name == "customers" or name.startswith("customers_") for name in names)
            if is_sized and "minimum_size" not in tests and "is_too_small" not in names:
                found.append(model["name"])
    return found


def test_every_mart_of_groups_has_a_minimum_size() -> None:
    marts = PROJECT_DIR / "models" / "marts"
    assert unmeasured(marts) == []
    assert any("minimum_size" in yml.read_text() for yml in marts.glob("*.yml"))


def test_a_mart_without_a_minimum_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("models: [{name: a, columns: [{name: customers}]}]")
    (tmp_path / "b.yml").write_text("models: [{name: b, columns: [{name: customers}, {name: is_too_small}]}]")
    (tmp_path / "c.yml").write_text("models: [{name: c, columns: [{name: customers_after}], data_tests: [unique]}]")
    (tmp_path / "d.yml").write_text("models: [{name: d, columns: [{name: customers}], data_tests: [minimum_size]}]")
    assert unmeasured(tmp_path) == ["a", "c"]


def test_every_model_has_its_yml() -> None:
    assert faults(PROJECT_DIR / "models") == []


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"marts/orders.sql": ""}, "marts/orders.sql has no orders.yml beside it"),
        ({"marts/orders.py": ""}, "marts/orders.py has no orders.yml beside it"),
        (
            {"orders.sql": "", "orders.yml": "models: [{name: order}]"},
            "orders.yml describes ['order'], not orders alone",
        ),
        ({"orders.sql": "", "orders.yml": "version: 2"}, "orders.yml describes nothing, not orders alone"),
        ({"all.yml": "models: [{name: a}]"}, "all.yml describes models but lies beside no model of its name"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, files: dict[str, str], fault: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert fault in faults(tmp_path)


def test_a_described_model_passes(tmp_path: Path) -> None:
    (tmp_path / "orders.sql").write_text("select 1 as order_id")
    (tmp_path / "orders.yml").write_text("models: [{name: orders}]")
    (tmp_path / "sources.yml").write_text("sources: [{name: raw}]")
    assert faults(tmp_path) == []


def test_the_atlas_names_the_marts_that_it_reads() -> None:
    """dbt-bouncer sees to it that every mart has a reader; nobody but this that a reader's list is right."""
    code = "\n".join(file.read_text() for file in (PROJECT_DIR / "orchestration" / "atlas").rglob("*.py"))
    exposures = yaml.safe_load((PROJECT_DIR / "models" / "exposures.yml").read_text())["exposures"]
    [atlas] = [one for one in exposures if one["name"] == "atlas"]
    read = {f"ref('{mart}')" for mart in re.findall(r"\b(?:marts|quality)\.(\w+)", code)}
    assert read == set(atlas["depends_on"])
