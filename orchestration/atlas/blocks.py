"""What sections are made of. They hold plain values: the page escapes whatever it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

NOTHING = "–"  # noqa: RUF001
MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"


def _changed(value: Any, text: str) -> str:
    """A change with its sign."""
    return f"+{text}" if value > 0 else text


#: Kind of a column or tile -> how its value is written. A `segment` is {id, label}, an `interval` {low, high}, a
#: `trend` a list.
FORMATS = {
    "text": str,
    "code": str,
    "date": date.isoformat,
    "month": lambda value: value.isoformat()[:7],
    "flag": str,
    "segment": lambda value: value["label"],
    "count": lambda value: f"{value:,.0f}",
    "change": lambda value: _changed(value, f"{value:,.0f}"),
    "money": lambda value: f"{value:,.0f}",
    "cents": lambda value: f"{value:,.2f}",
    "number": lambda value: f"{value:,.2f}",
    "times": lambda value: f"{value:,.1f}\N{MULTIPLICATION SIGN}",
    "rate": lambda value: f"{100 * value:,.1f}{SPACE}%",
    "rate_change": lambda value: _changed(value, f"{100 * value:,.1f}{SPACE}%"),
    "points": lambda value: _changed(value, f"{100 * value:,.1f}{SPACE}points"),
    "interval": lambda value: f"{value['low']:,.0f} to {value['high']:,.0f}",
    "times_interval": lambda value: f"{value['low']:,.1f} to {value['high']:,.1f}",
    "trend": lambda value: f"{value[0]:,} to {value[-1]:,}",
}
TEXTS = frozenset({"text", "code", "flag", "segment"})
MONEY = frozenset({"money", "cents"})


def shown(value: Any, kind: str) -> str:
    """A value as people read it; a dash where there is none."""
    if value is None or (kind.endswith("interval") and None in value.values()) or value == []:
        return NOTHING
    return FORMATS[kind](value).replace("-", MINUS) if kind not in TEXTS | {"date", "month"} else FORMATS[kind](value)


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
    """A value as it is shown, what it is sorted by (None: its text), the length of its bar in per cent, and its kind.

    A segment's cell leads to its card; a trend is drawn through `points`, x and y from 0 to 100.
    """

    text: str
    kind: str
    sort_key: Any = None
    bar: float | None = None
    segment_id: str | None = None
    points: Sequence[tuple[float, float]] = ()

    @classmethod
    def of(cls, value: Any, column: Column, full: Any) -> Cell:
        """The cell of a value in a column whose longest bar is `full`."""
        text, kind = shown(value, column.kind), column.kind
        if text == NOTHING:
            return cls(text, kind, sort_key="")
        if kind == "segment":
            return cls(text, kind, segment_id=value["id"])
        if kind in TEXTS:
            return cls(text, kind)
        if kind == "trend":
            return cls(text, kind, sort_key=value[-1] - value[0], points=_points(value))
        if isinstance(value, Mapping):
            return cls(text, kind, sort_key=value["low"])
        return cls(text, kind, sort_key=value, bar=round(float(100 * abs(value) / full), 1) if full else None)


def _points(values: Sequence[Any]) -> list[tuple[float, float]]:
    lowest, span = min(values), max(values) - min(values) or 1
    step = 100 / max(1, len(values) - 1)
    return [
        (round(step * at, 1), round(100 - 100 * float(value - lowest) / float(span), 1))
        for at, value in enumerate(values)
    ]


@dataclass(frozen=True)
class Table:
    """Rows under their columns, sortable; `empty` is the sentence in place of a table without rows.

    `search` names what is searched for (`segments`), and gives the table a field to do so in.
    """

    block: ClassVar[str] = "table"
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    empty: str
    note: str = ""
    search: str = ""
    rows_at_first: int = 25

    def cells(self) -> Iterator[list[Cell]]:
        """The rows as they are shown."""
        longest = [
            max([1.0 if column.kind == "rate" else 0.0, *(abs(row[position] or 0) for row in self.rows)])
            if column.has_bar
            else 0
            for position, column in enumerate(self.columns)
        ]
        for row in self.rows:
            yield [Cell.of(value, column, full) for value, column, full in zip(row, self.columns, longest, strict=True)]


@dataclass(frozen=True)
class Chart:
    """A Plotly figure as plain data. Colours are the names of the style sheet: `var(--series-1)`.

    `summary` says in words what the picture shows. Where a point's id is `segment/<id>`, a click opens that segment.
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

    @property
    def figure(self) -> dict[str, Any]:
        """Traces and layout, as Plotly takes them."""
        return {"data": escaped(self.traces), "layout": {"height": self.height, **escaped(self.layout)}}


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
    """A key figure, with its interval and how it changed: (since when, change, kind of change)."""

    title: str
    value: Any
    kind: str
    changes: Sequence[tuple[str, Any, str]] = ()
    interval: Mapping[str, Any] | None = None
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
