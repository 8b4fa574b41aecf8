"""What sections are made of. They hold plain values: the page escapes whatever it shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

NOTHING = "–"  # noqa: RUF001
MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"


def _changed(value: Any, text: str) -> str:
    """A change with its sign."""
    return f"+{text}" if value > 0 else text


#: Kind of a column or tile -> how its value is written. A `segment` is {id, macro, label}, a `trend` a list; any number
#: may be an estimate with its interval, {value, low, high}.
FORMATS = {
    "text": str,
    "flag": str,
    "status": str,
    "segment": lambda value: value["label"],
    "date": date.isoformat,
    "month": lambda value: value.isoformat()[:7],
    "count": lambda value: f"{value:,.0f}",
    "change": lambda value: _changed(value, f"{value:z,.0f}"),
    "money": lambda value: f"{value:,.0f}",
    "cents": lambda value: f"{value:,.2f}",
    "number": lambda value: f"{value:,.2f}",
    "times": lambda value: f"{value:,.1f}\N{MULTIPLICATION SIGN}",
    "rate": lambda value: f"{100 * value:,.1f}{SPACE}%",
    "rate_change": lambda value: _changed(value, f"{100 * value:z,.1f}{SPACE}%"),
    "points": lambda value: _changed(value, f"{100 * value:z,.1f}{SPACE}points"),
    "trend": lambda value: f"{value[0]:,} to {value[-1]:,}",
}
TEXTS = frozenset({"text", "flag", "status", "segment", "date", "month"})
MONEY = frozenset({"money", "cents"})


def shown(value: Any, kind: str) -> str:
    """A value as people read it; a dash where there is none."""
    value = amount(value)
    if value is None or value == []:
        return NOTHING
    return FORMATS[kind](value) if kind in TEXTS else FORMATS[kind](value).replace("-", MINUS)


def amount(value: Any) -> Any:
    """An estimate without its interval; any other value as it is."""
    return value["value"] if isinstance(value, Mapping) and "value" in value else value


def interval(value: Any, kind: str) -> str:
    """The interval of an estimate as people read it; empty where there is none."""
    if not isinstance(value, Mapping) or value.get("low") is None or value.get("high") is None:
        return ""
    return f"{shown(value['low'], kind)} to {shown(value['high'], kind)}"


@dataclass(frozen=True)
class Column:
    """A column of a table: how its values are written (a key of FORMATS), and whether a bar shows their size."""

    title: str
    kind: str = "text"
    has_bar: bool = False

    def __post_init__(self) -> None:
        if self.kind not in FORMATS:
            raise ValueError(f"column {self.title!r} is of the kind {self.kind!r}; there are {', '.join(FORMATS)}")

    @property
    def is_text(self) -> bool:
        return self.kind in TEXTS

    @property
    def is_money(self) -> bool:
        return self.kind in MONEY


@dataclass(frozen=True)
class Cell:
    """A value as it is shown, with its interval, what it is sorted by (None: its text), and how long its bar is, in per
    cent of the longest.

    A segment's label is in two parts, its macro-segment first, and leads to its card; a trend is drawn through
    `points`, x and y from 0 to 100.
    """

    column: Column
    text: str
    interval: str = ""
    sort_key: Any = None
    bar: float | None = None
    segment_id: str | None = None
    macro: str = ""
    points: Sequence[tuple[float, float]] = ()

    @classmethod
    def of(cls, value: Any, column: Column, longest: Any) -> Cell:
        """The cell of a value in a column whose longest bar is `longest`."""
        text = shown(value, column.kind)
        if text == NOTHING:
            return cls(column, text, sort_key="")
        if column.kind == "segment":
            return cls(column, text, segment_id=value["id"], macro=value["macro"])
        if column.is_text:
            return cls(column, text)
        if column.kind == "trend":
            return cls(column, text, sort_key=value[-1] - value[0], points=_points(value))
        number = amount(value)
        bar = round(float(100 * abs(number) / longest), 1) if longest else None
        return cls(column, text, interval(value, column.kind), sort_key=number, bar=bar)


def _points(values: Sequence[Any]) -> list[tuple[float, float]]:
    step, highest = 100 / max(1, len(values) - 1), max(values) or 1
    return [(round(step * at, 1), round(100 - 100 * float(value / highest), 1)) for at, value in enumerate(values)]


@dataclass(frozen=True)
class Table:
    """Rows under their columns, sortable; `empty` is the sentence in place of a table without rows.

    `search` names what is searched for (`segments`), and gives the table a field to do so in. A column of flags is left
    out while no row has one.
    """

    block: ClassVar[str] = "table"
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    empty: str
    note: str = ""
    search: str = ""
    rows_at_first: int = 25

    @property
    def used(self) -> list[int]:
        """The columns that are shown, by their places."""
        return [
            at
            for at, column in enumerate(self.columns)
            if column.kind != "flag" or any(row[at] is not None for row in self.rows)
        ]

    def cells(self) -> Iterator[list[Cell]]:
        """The rows as they are shown."""
        longest = [
            max(1.0 if column.kind == "rate" else 0.0, *(abs(amount(row[at]) or 0) for row in self.rows))
            if column.has_bar
            else 0
            for at, column in enumerate(self.columns)
        ]
        used = self.used
        for row in self.rows:
            yield [Cell.of(row[at], self.columns[at], longest[at]) for at in used]


_TRACES = Path(__file__).with_name("plotly") / "traces.js"
#: What the page's Plotly can draw.
TRACE_TYPES = frozenset(re.findall(r'"plotly\.js/lib/(?!core")(\w+)"', _TRACES.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Chart:
    """A Plotly figure as plain data. Colours are the names of the style sheet: `var(--series-1)`.

    `summary` says in words what the picture shows. Where a point's id is `segment/<id>`, a click opens that segment.
    Raises ValueError where the page's Plotly can't draw a trace.
    """

    block: ClassVar[str] = "chart"
    title: str
    summary: str
    traces: Sequence[Mapping[str, Any]]
    empty: str
    layout: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    height: int = 280
    least_width: int = 0

    def __post_init__(self) -> None:
        if unknown := {trace["type"] for trace in self.traces} - TRACE_TYPES:
            raise ValueError(
                f"Plotly here can't draw {', '.join(sorted(unknown))}: add it to plotly/traces.js, run make plotly"
            )

    @property
    def figure(self) -> dict[str, Any]:
        """Traces and layout, as Plotly takes them."""
        return {"data": escaped(self.traces), "layout": {"height": self.height, **escaped(self.layout)}}


def month_axis(days: Sequence[date]) -> dict[str, Any]:
    """An axis of month-ends: a few of the days themselves, as months."""
    return {"type": "date", "tickvals": list(days[:: 1 + len(days) // 4]), "tickformat": "%Y-%m", "tickangle": 0}


def interval_bars(estimates: Sequence[tuple[Any, Any, Any]]) -> dict[str, Any]:
    """The intervals of a trace of estimates (value, low, high): Plotly takes their distances from the value."""
    return {
        "type": "data",
        "array": [None if high is None else high - value for value, _, high in estimates],
        "arrayminus": [None if low is None else value - low for value, low, _ in estimates],
        "thickness": 1,
        "width": 3,
    }


#: Keys of a figure whose text is Plotly's own mark-up, written in a section and never taken from data.
TEMPLATES = frozenset({"hovertemplate", "texttemplate"})


def escaped(part: Any) -> Any:
    """A part of a figure whose text Plotly will show as it is: it takes `<b>` and `&amp;` in any text for mark-up."""
    if isinstance(part, str):
        return part.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if isinstance(part, Mapping):
        return {key: value if key in TEMPLATES else escaped(value) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        return [escaped(value) for value in part]
    if isinstance(part, Decimal):
        return float(part)
    return part.isoformat() if isinstance(part, date) else part


@dataclass(frozen=True)
class Tile:
    """A key figure, or an estimate, and how it changed: (since which day, change, kind of change)."""

    title: str
    value: Any
    kind: str
    changes: Sequence[tuple[date | str, Any, str]] = ()
    note: str = ""


@dataclass(frozen=True)
class Tiles:
    """Key figures side by side."""

    block: ClassVar[str] = "tiles"
    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Status:
    """Short statements on the state of things, each `good`, `warning` or `bad`."""

    block: ClassVar[str] = "status"
    statements: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Text:
    """A sentence or two."""

    block: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Terms:
    """Terms and what they mean."""

    block: ClassVar[str] = "terms"
    title: str
    terms: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Grid:
    """Blocks side by side where there is room; `is_uneven`: the first takes two thirds."""

    block: ClassVar[str] = "grid"
    blocks: Sequence[Any]
    is_uneven: bool = False


@dataclass(frozen=True)
class Card:
    """What opens for one segment: every link to `#segment/<id>` leads here."""

    segment_id: str
    title: str
    subtitle: str
    blocks: Sequence[Any]


@dataclass(frozen=True)
class Cards:
    """The cards of segments; nothing of them is seen until one is opened."""

    block: ClassVar[str] = "cards"
    cards: Sequence[Card]
