"""What several test files use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestration import dbt
from rehearsal import Rehearsal, published_demo


@pytest.fixture(scope="session", autouse=True)
def no_database_of_the_user() -> Iterator[None]:
    """Refreshes of tests load nothing into the PostgreSQL of whoever runs them."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("STRATA_POSTGRES", raising=False)
        yield


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for warehouses, one per worker: dbt parses the project once in it."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def demo(home: Path) -> Rehearsal:
    """The demo shop, published, one per worker. Nothing writes to it."""
    return published_demo(home)


@pytest.fixture
def business(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets variables of dbt_project.yml for the test: business(business_timezone='America/New_York')."""
    original = dbt.business_variables

    def set_variables(**variables: Any) -> None:
        monkeypatch.setattr(dbt, "business_variables", lambda overrides: original({**overrides, **variables}))

    return set_variables
