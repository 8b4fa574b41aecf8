"""What sqlfluff's jinja templater lacks of dbt: variables with their defaults, dispatch, and dbt's own macros.

sqlfluff puts every public name of this file into the templates it renders (`library_path` in .sqlfluff).
"""

import datetime
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import yaml

_VARS = yaml.safe_load((Path(__file__).resolve().parents[2] / "dbt_project.yml").read_text())["vars"]

dbt_version = "1.11"
modules = SimpleNamespace(datetime=datetime)
execute = False  # as when dbt parses: no query is run to write a query


def var(name: str, default: Any = None) -> Any:
    return _VARS.get(name, default)


def run_query(_sql: str) -> None:
    return None


class _Adapter:
    @jinja2.pass_context
    def dispatch(self, context: jinja2.runtime.Context, name: str, package: str | None = None) -> Callable[..., Any]:
        """The macro that DuckDB gets; it stands in the same file as the one that dispatches."""
        return context.get(f"duckdb__{name}") or context.get(f"default__{name}") or _call(name)

    def quote(self, name: str) -> str:
        return f'"{name}"'


class _Dbt:
    """dbt's cross-database macros, as calls of functions of the same name: well-formed SQL, which is all lint needs."""

    def __getattr__(self, name: str) -> Callable[..., str]:
        if name.startswith("type_"):
            return lambda: {"type_string": "varchar", "type_int": "integer"}.get(name, name.removeprefix("type_"))
        return _call(name)


class _Target:
    name = type = "duckdb"
    schema = "main"


def _call(name: str) -> Callable[..., str]:
    return lambda *args, **more: f"{name}({', '.join(str(value) for value in (*args, *more.values()))})"


adapter, dbt, target = _Adapter(), _Dbt(), _Target()
