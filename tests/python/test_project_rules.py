"""Rules of the dbt project that dbt-bouncer has no check for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

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
