"""Names and values as SQL writes them, for statements that take no parameters (attach, copy, comment, create)."""

from __future__ import annotations


def identifier(name: str) -> str:
    """The name of a schema, table or column."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A text, or what is written as one, such as a path."""
    return "'" + str(value).replace("'", "''") + "'"
