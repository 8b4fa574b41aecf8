"""What the documentation names exists: commands, pages, files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestration.settings import PROJECT_DIR

PAGES = [*PROJECT_DIR.glob("*.md"), *(PROJECT_DIR / "docs").glob("*.md")]
TARGETS = set(re.findall(r"^([a-z-]+):", (PROJECT_DIR / "Makefile").read_text(), flags=re.MULTILINE))


def dead_ends(text: str, folder: Path) -> list[str]:
    """What a page names and isn't there: targets of make and files of the project in its code, and relative links."""
    code = "\n".join(block or span for block, span in re.findall(r"```(.*?)```|`([^`\n]+)`", text, flags=re.DOTALL))
    commands = re.findall(r"\bmake (?:-C \S+ )?(?:[A-Z_]+=\S+ )*([a-z][a-z-]*)", code)
    folders = "deploy|docs|examples|macros|models|orchestration|seeds|tests"
    files = re.findall(rf"(?<![\w/])(?:{folders})/[\w/.-]+\.\w+", code)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    return [
        *(f"make {command}" for command in commands if command not in TARGETS),
        *(file for file in files if not (PROJECT_DIR / file).exists()),
        *(link for link in links if link and not (folder / link).exists()),
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page: Path) -> None:
    assert dead_ends(page.read_text(encoding="utf-8"), page.parent) == []


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("Run `make nothing DATASET=demo`.", "make nothing"),
        ("```\ncd here && make PYTHON=python3 nothing   # says so\n```", "make nothing"),
        ("`docs/nothing.md`", "docs/nothing.md"),
        ("[this](nothing.md#part)", "nothing.md"),
    ],
)
def test_a_dead_end_is_found(text: str, missing: str) -> None:
    assert dead_ends(text, PROJECT_DIR) == [missing]
