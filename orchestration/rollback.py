"""`make rollback`: publish the publication before the current one again."""

from __future__ import annotations

from typing import Any

from orchestration import publish
from orchestration.errors import StrataError
from orchestration.refresh import publish_to_postgres, writing
from orchestration.settings import Settings


def rollback(settings: Settings) -> tuple[str | None, dict[str, Any]]:
    """Point all links at the newest kept publication that is older than the current one: that one's run, these facts.

    PostgreSQL, where it is configured, is loaded from it before. Raises StrataError where there is none: then nothing
    was changed.
    """
    with writing(settings):
        left, runs = publish.current_run(settings), publish.kept_runs(settings)
        older = runs[runs.index(left) + 1 :] if left else runs
        if not older:
            raise StrataError(
                f"nothing was changed: no older publication is kept in {settings.published}. "
                f"`make refresh DATASET={settings.dataset}` publishes anew."
            )
        path = publish.run_folder(settings, older[0]) / publish.LINK
        facts = publish.facts_of(path)
        if facts is None:
            raise StrataError(f"nothing was changed: {path} can't be read. Remove it to go one further back.")
        publish_to_postgres(settings, path)
        publish.point_back(settings, older[0])
        return left, facts
