"""Raw messages and raw files without a person.

Orders stay as orders without a customer, so that the books stay whole to the cent: of an order message only what the
books need is kept. Every other message of the person goes. Where somebody else's message mentions the person, the word
`forgotten` takes the mention's place.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from orchestration import forgotten
from orchestration.id_key import id_key
from orchestration.quoting import literal
from orchestration.raw_files import CONTRACT_COLUMNS, RawFile, parquet_columns, raw_text
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.traces import Traces, normal

Verdict = Literal["removed", "made anonymous", "mention taken out"]
#: What the books need of an order message; everything else in it goes.
KEPT_COLUMNS = ("message_id", "type", "event", "timestamp", "received_at", "properties")
KEPT_PROPERTIES = frozenset(
    """
    order_id currency revenue subtotal total shipping tax discount coupon affiliation channel store_id products
    """.split()  # noqa: SIM905
)
KEPT_OF_A_PRODUCT = frozenset("product_id sku name category brand variant price quantity coupon position".split())  # noqa: SIM905
#: In place of what can't be read: it stays as unreadable as it was.
UNREADABLE = "forgotten"


@dataclass(frozen=True)
class Message:
    """What decides about a message: who it names, what it is, and whether its text holds a trace of the person."""

    user_id: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None
    type: str | None = None
    event: str | None = None
    order_id: str | None = None
    has_trace: bool = False
    is_readable: bool = True


@cache
def order_events() -> frozenset[str]:
    """The events that are about an order, by seeds/reference/message_events.csv."""
    with (PROJECT_DIR / "seeds" / "reference" / "message_events.csv").open(newline="") as file:
        return frozenset(row["message"] for row in csv.DictReader(file) if row["family"] == "order")


def verdict(message: Message, traces: Traces, orders: frozenset[str]) -> Verdict | None:
    """What becomes of a message; None: nothing. orders: the order_ids of the person.

    A message is the person's that the user it names is; that names no user, and comes from a device of theirs; that
    renames an id of theirs; or that names nobody and has a trace of them, or is about an order of theirs.
    """
    user, device, previous = (
        normal(found) if found else None for found in (message.user_id, message.anonymous_id, message.previous_id)
    )
    is_order = message.type == "track" and message.event in order_events()
    is_theirs = user in traces.ids or (user is None and device in traces.ids) or previous in traces.ids
    if user is None and device is None:
        is_theirs |= message.has_trace or (is_order and message.order_id in orders)
    if not message.is_readable:
        return "removed" if message.has_trace else None
    if is_theirs:
        return "made anonymous" if is_order else "removed"
    return "mention taken out" if message.has_trace else None


def anonymous(message: Mapping[str, Any], traces: Traces) -> dict[str, Any]:
    """An order message with nothing left but what the books need. Objects may be dicts, pairs or JSON texts."""
    kept = {*KEPT_COLUMNS, *(CONTRACT_COLUMNS[column] for column in KEPT_COLUMNS)}
    reduced = {name: value for name, value in message.items() if name in kept}
    if reduced.get("properties") is not None:
        reduced["properties"] = _properties(reduced["properties"])
    return without_mentions(reduced, traces)


def without_mentions(value: Any, traces: Traces) -> Any:
    """A value with every trace in its texts taken out, however deep."""
    if isinstance(value, str):
        return traces.taken_out(value)
    if isinstance(value, Mapping):
        return {name: without_mentions(inner, traces) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(without_mentions(inner, traces) for inner in value)
    return value


def _properties(value: Any) -> Any:
    if isinstance(value, str):
        found = _loads(value)
        return _dumps(_properties(found)) if isinstance(found, dict) else UNREADABLE
    pairs = value.items() if isinstance(value, Mapping) else value
    kept = {name: _products(inner) if name == "products" else inner for name, inner in pairs if name in KEPT_PROPERTIES}
    return kept if isinstance(value, Mapping) else list(kept.items())


def _products(value: Any) -> Any:
    if isinstance(value, str):
        found = _loads(value)
        return _dumps(_products(found)) if isinstance(found, list) else UNREADABLE
    if not isinstance(value, list):
        return value if value is None else UNREADABLE
    return [
        {name: inner for name, inner in item.items() if name in KEPT_OF_A_PRODUCT}
        if isinstance(item, Mapping)
        else None
        for item in value
    ]


def _loads(text: str) -> Any:
    """A JSON text's value, None where it is none. Numbers with a fraction stay as they were written, for `_dumps`."""
    try:
        return json.loads(text, parse_float=lambda digits: f"\0{digits}\0", parse_constant=str)
    except (ValueError, RecursionError):
        return None


def _dumps(value: Any) -> str:
    return re.sub(r'"\\u0000([^"\\]*)\\u0000"', r"\1", json.dumps(value))


# ---- files


def verdicts(files: list[RawFile], traces: Traces, orders: frozenset[str]) -> dict[str, Counter[Verdict]]:
    """File (its name below the raw root) -> how many of its messages meet which verdict; only files with any."""
    found: dict[str, Counter[Verdict]] = {}
    for file in files_with_candidates(files, traces, orders):
        counts: Counter[Verdict] = Counter()
        if file.format == "parquet":
            counts.update(_verdicts_of_rows(file, traces, orders).values())
        else:
            with _opened(file.path) as lines:
                counts.update(met for _, _, met in _judged_lines(lines, traces, orders) if met)
        if counts:
            found[file.file] = counts
    return found


def files_with_candidates(files: list[RawFile], traces: Traces, orders: frozenset[str]) -> list[RawFile]:
    """The files in which a message may concern the person: looked for in all of them at once."""
    with duckdb.connect() as db:
        db.execute("set threads = 2")
        paths = {
            path
            for group in raw_text(files)
            for (path,) in db.execute(
                f"select distinct path from ({group}) where {_is_candidate(traces, orders)}"
            ).fetchall()
        }
    return [file for file in files if file.path in paths]


def rewrite(file: RawFile, traces: Traces, orders: frozenset[str], target: Path) -> Counter[Verdict]:
    """Write the file without the person to `target`, in its format, with its schema, in its order; what was done."""
    counts: Counter[Verdict] = Counter()
    if file.format == "parquet":
        met = _verdicts_of_rows(file, traces, orders)
        counts.update(met.values())
        _rewrite_parquet(file.path, target, met, traces)
    else:
        with _opened(file.path) as source, _opened(str(target), "wb", like=file.path) as written:
            for line, message, met_here in _judged_lines(source, traces, orders):
                counts.update([met_here] if met_here else [])
                if met_here == "made anonymous":
                    line = (_dumps(anonymous(message or {}, traces)) + "\n").encode()
                elif met_here == "mention taken out":
                    line = traces.taken_out(_text(line)).encode(errors="surrogateescape")
                if met_here != "removed":
                    written.write(line)
    shutil.copymode(file.path, target)
    with target.open("rb") as written:
        os.fsync(written.fileno())
    return counts


def keep_out(settings: Settings, folder: Path) -> Counter[Verdict]:
    """Take those who were forgotten out of Parquet files that are about to enter raw; what was done.

    Who that is, the list of hashes says. Mentions in others' messages stay: the list knows ids, not words.
    """
    listed = forgotten.read_list(settings)
    counts: Counter[Verdict] = Counter()
    if not listed:
        return counts
    with duckdb.connect() as db:
        files = [
            replace(file, columns=parquet_columns(db, file))
            for file in (RawFile(path.name, "parquet", path=str(path)) for path in sorted(folder.rglob("*.parquet")))
        ]
        key = id_key(settings)
        ids = {
            one
            for query in raw_text(files)
            for (one,) in db.execute(
                f"select distinct unnest([user_id, anonymous_id, previous_id]) from ({query})"
            ).fetchall()
            if one and forgotten.id_hash(key, one) in listed
        }
    traces = Traces(ids)
    for file in files_with_candidates(files, traces, frozenset()) if ids else []:
        temporary = Path(file.path).with_suffix(".tmp")
        counts += rewrite(file, traces, frozenset(), temporary)
        if pq.read_metadata(temporary).num_rows:
            os.replace(temporary, file.path)
        else:
            temporary.unlink()
            Path(file.path).unlink()
    return counts


def _is_candidate(traces: Traces, orders: frozenset[str]) -> str:
    """SQL over `raw_text`: whether a message may concern the person."""
    parts = [traces.may_be_in("text"), *(traces.is_id(name) for name in ("user_id", "anonymous_id", "previous_id"))]
    if orders:
        listed = ", ".join(literal(order_id) for order_id in sorted(orders))
        parts.append(f"coalesce(user_id is null and anonymous_id is null and order_id in ({listed}), false)")
    return " or ".join(parts)


def _verdicts_of_rows(file: RawFile, traces: Traces, orders: frozenset[str]) -> dict[int, Verdict]:
    """Row number (from 0) of a Parquet file -> its verdict, of the rows that meet one."""
    [group] = raw_text([file])
    query = f"""
        select row_number, user_id, anonymous_id, previous_id, type, event, order_id, text
        from ({group})
        where {_is_candidate(traces, orders)}
    """
    with duckdb.connect() as db:
        rows = db.execute(query).fetchall()
    judged = {
        number: verdict(Message(*named, has_trace=traces.is_in(text)), traces, orders) for number, *named, text in rows
    }
    return {number: met for number, met in judged.items() if met}


def _judged_lines(
    lines: BinaryIO, traces: Traces, orders: frozenset[str]
) -> Iterator[tuple[bytes, dict[str, Any] | None, Verdict | None]]:
    """Each line as it is, the message in it where it was looked into, and its verdict."""
    for line in lines:
        text = _text(line)
        has_trace = traces.is_in(text)
        if not has_trace and not any(order_id in text for order_id in orders):
            yield line, None, None
            continue
        found = _loads(text)
        message = found if isinstance(found, dict) else None
        yield line, message, verdict(_named(message, has_trace), traces, orders)


def _named(message: dict[str, Any] | None, has_trace: bool) -> Message:
    """What decides about the message of a JSON line; keys as in the contract or the spec."""
    if message is None:
        return Message(has_trace=has_trace, is_readable=False)

    def value(column: str) -> str | None:
        found = next(
            (message[name] for name in (column, CONTRACT_COLUMNS[column]) if message.get(name) is not None), None
        )
        return _plain(found)

    properties = message.get("properties")
    properties = _loads(properties) if isinstance(properties, str) else properties
    order_id = properties.get("order_id") if isinstance(properties, dict) else None
    return Message(
        *(value(column) for column in ("user_id", "anonymous_id", "previous_id", "type", "event")),
        order_id=_plain(order_id),
        has_trace=has_trace,
    )


def _plain(value: Any) -> str | None:
    """A JSON value as text without the blanks around it; None for a blank one."""
    if value is None:
        return None
    return (value if isinstance(value, str) else json.dumps(value)).strip("\0 ") or None


def _text(line: bytes) -> str:
    return line.decode(errors="surrogateescape")


def _opened(path: str, mode: str = "rb", like: str = "") -> Any:
    """A file of JSON lines, compressed where its name (or that of `like`) says so; the same content, the same bytes."""
    if not (like or path).lower().endswith(".gz"):
        return open(path, mode)
    return gzip.open(path, mode) if mode == "rb" else gzip.GzipFile(path, mode, mtime=0)


def _rewrite_parquet(path: str, target: Path, met: dict[int, Verdict], traces: Traces) -> None:
    """Row group by row group, so that a big file isn't held as a whole."""
    source = pq.ParquetFile(path)
    schema = source.schema_arrow
    codecs = {
        column.path_in_schema: column.compression
        for group in range(min(1, source.metadata.num_row_groups))
        for column in (source.metadata.row_group(group).column(n) for n in range(source.metadata.num_columns))
    }
    with pq.ParquetWriter(target, schema, compression=codecs or "zstd") as writer:
        first = 0
        for group in range(source.metadata.num_row_groups):
            table = source.read_row_group(group)
            parts, begin = [], 0
            for row in sorted(number - first for number in met if first <= number < first + table.num_rows):
                parts.append(table.slice(begin, row - begin))
                if met[first + row] != "removed":
                    parts.append(_replaced(table.slice(row, 1), met[first + row], traces))
                begin = row + 1
            first += table.num_rows
            kept = pa.concat_tables([*parts, table.slice(begin)])
            if kept.num_rows:
                writer.write_table(kept, row_group_size=kept.num_rows)


def _replaced(row: pa.Table, met: Verdict, traces: Traces) -> pa.Table:
    """One row, anonymous or without mentions, in the same schema. A text that must not be null becomes blank."""
    [values] = row.to_pylist()
    new = anonymous(values, traces) if met == "made anonymous" else without_mentions(values, traces)
    for column in row.schema:
        if new.get(column.name) is None and not column.nullable:
            new[column.name] = "" if pa.types.is_string(column.type) else values[column.name]
    return pa.Table.from_pylist([new], schema=row.schema)
