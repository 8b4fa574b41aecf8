"""The documentation of the models, tests and metrics as one page: dbt's own, of a data set's publication."""

from __future__ import annotations

import os
from pathlib import Path

from orchestration import publish
from orchestration.dbt import arguments_of
from orchestration.errors import StrataError
from orchestration.settings import PROJECT_DIR, Settings


def write_docs(settings: Settings) -> Path:
    """Write `published/<dataset>/docs.html` and return its path. It reads the publication, so no refresh has to wait.

    Raises StrataError where nothing is published, or where dbt can't read the project.
    """
    if not (settings.published / publish.LINK).exists():
        raise StrataError(
            f"Nothing is published for {settings.dataset!r}: `make refresh DATASET={settings.dataset}` first."
        )
    os.environ["STRATA_HOME"], os.environ["DATASET"] = str(settings.home), settings.dataset
    from dbt.cli.main import dbtRunner  # imported late: it takes seconds

    # Apart from the refresh's files: another target is another parse. Not compiled: SQL with a run's paths stays out.
    target = settings.home / "target" / "docs"
    options = [*arguments_of(settings), "--target-path", str(target), "--target", "published"]
    done = dbtRunner().invoke(["parse", *options])
    if done.success:
        done = dbtRunner(manifest=done.result).invoke(["docs", "generate", *options, "--static", "--no-compile"])
    if not done.success:
        raise StrataError(f"dbt can't document the project: {done.exception}")
    page, made = settings.published / "docs.html", target / "static_index.html"
    made.write_text(made.read_text(encoding="utf-8").replace(str(PROJECT_DIR), "."), encoding="utf-8")
    made.replace(page)
    return page
