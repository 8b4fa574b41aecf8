"""Puts the sections together into one file that asks nothing of anybody: no server, no other file."""

from __future__ import annotations

import importlib
import pkgutil
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from orchestration.atlas import sections
from orchestration.atlas.blocks import interval, shown
from orchestration.atlas.reader import Publication, opened

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Section:
    """A section with what it shows; its name is its file's, and its place on the page `#<name>`."""

    name: str
    title: str
    blocks: Sequence[Any]


def write(publication: Path, target: Path) -> None:
    """Write the page that shows a published file to `target`, in one step: readers see the old page or the new one.

    The same publication gives the same bytes. Raises StrataError where there is no publication that can be read.
    """
    with opened(publication) as published:
        page = render(published)
    temporary = target.with_name(f".{target.name}.tmp")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_text(page, encoding="utf-8", newline="")
    temporary.replace(target)


def render(published: Publication) -> str:
    """The page as HTML."""
    scripts = [(FOLDER / script).read_text(encoding="utf-8") for script in ("plotly/plotly.min.js", "atlas.js")]
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    environment.filters |= {"shown": shown, "interval": interval}
    return environment.get_template("page.html.jinja").render(
        published=published,
        sections=[
            Section(module.__name__.rpartition(".")[2], module.TITLE, module.blocks(published)) for module in discover()
        ],
        style=Markup((FOLDER / "atlas.css").read_text(encoding="utf-8")),  # noqa: S704
        scripts=[Markup(script) for script in scripts],  # noqa: S704
        script_hashes=[b64encode(sha256(script.encode()).digest()).decode() for script in scripts],
    )


def discover() -> list[Any]:
    """The modules of `sections`, by ORDER, then by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(sections.__path__))
    modules = [importlib.import_module(f"{sections.__name__}.{name}") for name in names]
    return sorted(modules, key=lambda module: module.ORDER)
