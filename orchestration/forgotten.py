"""The list of those who were forgotten: keyed hashes of their ids, beside the manifest. It keeps them out.

What arrives again of them, with the next export of a source or from a device that still sends, is known by it: the
import leaves it out of raw (`erase`), and staging rejects it (`macros/forgotten.sql`, the same hash).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from orchestration.errors import StrataError
from orchestration.raw_files import write_lines
from orchestration.settings import Settings
from orchestration.traces import normal

#: The note of a forgetting that has begun and not ended.
NOTE = "forgetting.json"


def list_path(settings: Settings) -> Path:
    """The file of the list, one JSON line an id: its hash, and the day on which it was forgotten."""
    return settings.manifest / "forgotten.jsonl"


def note_path(settings: Settings) -> Path:
    """The note of a forgetting that has begun and not ended; nobody else may write the data set while it lies there."""
    return settings.manifest / NOTE


def refuse_unfinished(settings: Settings) -> None:
    """Raises StrataError where a forgetting was interrupted."""
    if note_path(settings).exists():
        raise StrataError(
            f"A forgetting in {settings.dataset} was interrupted. First `make forget DATASET={settings.dataset}` "
            "(with the RAW of before, if any): it finishes it."
        )


def id_hash(key: str, one: str) -> str:
    """The hash that stands for an id in the list. It isn't the one that marts show, so nothing can be joined to it."""
    return hashlib.md5(f"{key}|forgotten|{normal(one)}".encode(), usedforsecurity=False).hexdigest()


def read_list(settings: Settings) -> dict[str, str]:
    """Hash -> day on which the id was forgotten; empty where nobody ever was."""
    path = list_path(settings)
    rows = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return {row["id_hash"]: row["forgotten_date"] for row in rows}


def add_to_list(settings: Settings, key: str, ids: Iterable[str], day: date) -> None:
    """Put ids on the list; those that are on it keep their day."""
    known = read_list(settings)
    listed = {id_hash(key, one): day.isoformat() for one in ids} | known
    write_lines(list_path(settings), [{"id_hash": one, "forgotten_date": listed[one]} for one in sorted(listed)])
