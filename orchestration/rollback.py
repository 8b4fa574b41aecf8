"""`make rollback`: publish the publication before the current one again."""

from __future__ import annotations

import os
from typing import Any

from orchestration import publish
from orchestration.errors import StrataError
from orchestration.forgotten import refuse_unfinished
from orchestration.lock import writer_lock
from orchestration.settings import Settings


def rollback(settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """Point all links at the newest kept publication that is older than the current one; the facts of both.

    PostgreSQL, where it is configured, is loaded from it before. Raises StrataError where there is none: then nothing
    was changed.
    """
    with writer_lock(settings):
        refuse_unfinished(settings)
        left = publish.current(settings)
        if left is None:
            raise StrataError(
                f"nothing is published for {settings.dataset!r}: run `make refresh DATASET={settings.dataset}` first."
            )
        runs = publish.kept_runs(settings)
        older = runs[runs.index(left["run_id"]) + 1 :]
        path = settings.published / publish.PARTS[publish.LINK].format(older[0] if older else "")
        facts = publish.facts_of(path)
        if facts is None:
            what = f"{path} can't be read" if older else f"no older one is kept in {settings.published}"
            raise StrataError(f"the publication of {left['as_of']} stays: {what}.")
        if os.environ.get("STRATA_POSTGRES"):
            from orchestration.postgres import publish_postgres  # imported late: it takes half a second

            publish_postgres(settings, path)
        publish.point_back(settings, older[0])
        return left, facts
