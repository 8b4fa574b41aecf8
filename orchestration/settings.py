"""Where things lie: one dataset's raw files, manifest, warehouse and publication."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from orchestration.errors import StrataError

PROJECT_DIR = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """The paths of one dataset. `raw` may be a folder, a glob or a URL; everything else is a local path."""

    dataset: str
    raw: str
    home: Path

    @classmethod
    def of(cls, dataset: str, raw: str | None = None, home: Path | None = None) -> Settings:
        """Paths for `dataset` under `home` (environment variable STRATA_HOME, else the project's folder).

        Raises StrataError when the dataset's name could not be a file name.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", dataset):
            raise StrataError(
                f"DATASET={dataset!r} is not a usable name: lower-case letters, digits and _ only, a letter first."
            )
        home = home or Path(os.environ.get("STRATA_HOME") or PROJECT_DIR)
        return cls(dataset=dataset, raw=raw or str(home / "raw" / dataset), home=home)

    @property
    def warehouse(self) -> Path:
        """The DuckDB file that dbt writes; nobody else opens it."""
        return self.home / "warehouse" / f"{self.dataset}.duckdb"

    @property
    def published(self) -> Path:
        """The folder that readers open."""
        return self.home / "published" / self.dataset

    @property
    def proposals(self) -> Path:
        """The folder of what is proposed to a person: layers, and whom changed rules would move."""
        return self.home / "proposals" / self.dataset

    @property
    def trial(self) -> Settings:
        """Where changed rules are tried, beside the warehouse; nothing stays there."""
        return replace(self, dataset=f"{self.dataset}.diff")

    @property
    def manifest(self) -> Path:
        """The folder of the manifest: as much input as the raw files, so keep it with them."""
        return self.home / "manifests" / self.dataset
