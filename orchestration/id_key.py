"""The secret that ids are hashed with which are personal data: made once, kept beside the manifest, for its owner."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from orchestration.errors import StrataError
from orchestration.raw_files import write_lines
from orchestration.settings import Settings


def id_key_path(settings: Settings) -> Path:
    """The file that holds the key, as one JSON line."""
    return settings.manifest / "id_key.jsonl"


def id_key(settings: Settings) -> str:
    """The key. It is made where there is none yet; the environment variable STRATA_ID_KEY, where set, is that of a
    first run.

    Raises StrataError where its file holds none: with another key, everybody concerned would be somebody else.
    """
    path = id_key_path(settings)
    if not path.exists():
        write_lines(path, [{"id_key": os.environ.get("STRATA_ID_KEY") or secrets.token_hex(16)}], mode=0o600)
    try:
        key = json.loads(path.read_text())["id_key"]
    except (ValueError, KeyError, TypeError):
        key = None
    if not (isinstance(key, str) and key):
        raise StrataError(f"{path} holds no key of hashed ids: put back the file of before, from your back-up.")
    return key
