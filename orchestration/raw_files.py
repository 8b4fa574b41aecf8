"""The manifest of raw files, and the window of received dates that a run writes.

The manifest is one JSON line per raw file. It is written last, after success, and is as much input as the raw files:
the posting date of a late file depends on when it was first seen.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from orchestration.errors import StrataError
from orchestration.quoting import literal
from orchestration.settings import Settings

EVENT_SUFFIXES = {
    ".parquet": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".jsonl.gz": "json",
    ".ndjson.gz": "json",
    ".json.gz": "json",
}
#: Contract column -> the Segment spec's camelCase name of it, which is read as well.
CONTRACT_COLUMNS = {
    "message_id": "messageId",
    "type": "type",
    "event": "event",
    "anonymous_id": "anonymousId",
    "user_id": "userId",
    "previous_id": "previousId",
    "group_id": "groupId",
    "timestamp": "timestamp",
    "received_at": "receivedAt",
    "properties": "properties",
    "traits": "traits",
    "context": "context",
}
#: Optional tables beside the events, by file name.
REFERENCE_TABLES = ("products", "campaigns", "places", "stores", "exchange_rates")
#: Those that snapshots read.
SNAPSHOT_REFERENCES = ("places", "products", "stores")
REFERENCE_READERS = {
    "parquet": "read_parquet(?)",
    "csv": "read_csv(?, all_varchar = true)",
    "jsonl": "read_json(?)",
}
REQUIRED_COLUMNS = ("message_id", "type", "timestamp")
RAW_IDS = ("message_id", "type", "event", "user_id", "anonymous_id", "previous_id")
RAW_OBJECTS = ("properties", "traits", "context")
INSTANTS = ("received_at", "timestamp")
EARLIEST = datetime(1990, 1, 1)
#: A DuckDB reader of lines as they are: no character can be a delimiter or a quote.
READ_LINES = (
    "read_csv({files}, columns = {{'line': 'VARCHAR'}}, delim = '\\x01', header = false, quote = '', escape = '', "
    "auto_detect = false, strict_mode = false, max_line_size = 16777216, filename = true)"
)


@dataclass(frozen=True)
class RawFile:
    """One raw file, as the manifest remembers it.

    `file` is the path below the raw root (the name in the ledger), `path` where it lies now (not remembered).
    `open_date`: nothing in the file is posted before it; None for a first load. Instants are UTC, dates business days.
    """

    file: str
    format: str
    fingerprint: str = ""
    size: int = 0
    modified: str = ""
    first_seen_at: str = ""
    open_date: str | None = None
    first_posted_at: str | None = None
    last_posted_at: str | None = None
    columns: dict[str, list[str]] = field(default_factory=dict)
    path: str = ""

    def received_dates(self, timezone: str, fallback: date) -> tuple[date, date]:
        """First and last received_date of the file's messages; `fallback` where it holds no usable instant."""
        first = business_date(self.first_posted_at, timezone) if self.first_posted_at else fallback
        last = business_date(self.last_posted_at, timezone) if self.last_posted_at else fallback
        opened = date.fromisoformat(self.open_date) if self.open_date else date.min
        return max(first, opened), max(last, opened)


@dataclass(frozen=True)
class Window:
    """What one run reads and writes. `run_from > run_to` means that no day of facts is new."""

    run_from: date
    run_to: date
    as_of: date
    first_day: date

    @property
    def has_new_days(self) -> bool:
        return self.run_from <= self.run_to


def business_date(instant: str | datetime, timezone: str) -> date:
    """The business day of a UTC instant (ISO text or naive datetime)."""
    value = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    return value.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone)).date()


def utc_offsets(timezone: str, last: datetime) -> list[list[object]]:
    """The zone's offsets from 1990 to a UTC instant: [[from (UTC, ISO), seconds east of UTC], ...], oldest first."""
    zone = ZoneInfo(timezone)

    def offset(at: datetime) -> int:
        return int(at.replace(tzinfo=UTC).astimezone(zone).utcoffset().total_seconds())  # type: ignore[union-attr]

    at = EARLIEST - timedelta(days=1)
    found: list[list[object]] = [[at.isoformat(sep=" "), offset(at)]]
    while at < last + timedelta(days=2):
        low, high = at, at + timedelta(days=1)
        before, after = found[-1][1], offset(high)
        if before != after:
            while high - low > timedelta(seconds=1):
                middle = (low + (high - low) / 2).replace(microsecond=0)
                low, high = (middle, high) if offset(middle) == before else (low, middle)
            found.append([high.isoformat(sep=" "), after])
        at += timedelta(days=1)
    return found


def is_url(location: str) -> bool:
    """Whether a raw location is an object-store or web address rather than a local path."""
    return "://" in location


def raw_root(raw: str) -> str:
    """The folder that a raw location's files and reference tables lie below, without a trailing slash."""
    if any(c in raw for c in "*?["):
        head = raw[: min(raw.index(c) for c in "*?[" if c in raw)]
        return head.rsplit("/", 1)[0] if "/" in head else "."
    if not is_url(raw) and Path(raw).is_file():
        return str(Path(raw).parent)
    return raw.rstrip("/")


def reference_files(raw: str, name: str) -> list[str]:
    """Where a reference table lies beside the events: one path, as Parquet, CSV or JSON lines, or none."""
    paths = [f"{raw_root(raw)}/{name}.{suffix}" for suffix in REFERENCE_READERS]
    return [path for path in paths if duckdb.execute("select file from glob(?)", [path]).fetchone()][:1]


def reference_reader(path: str) -> str:
    """The DuckDB table function that reads a reference table of this name, with a parameter for the path."""
    return REFERENCE_READERS[path.rsplit(".", 1)[1]]


def event_format(name: str) -> str | None:
    """parquet, json, or None for a file that holds no messages."""
    lower = name.lower()
    return next((kind for suffix, kind in EVENT_SUFFIXES.items() if lower.endswith(suffix)), None)


def list_files(raw: str) -> list[tuple[str, str, int, str]]:
    """Message files at a raw location: (file below the root, path, bytes, last modified), sorted by file.

    A folder is read recursively, below `events/` if it has one. Raises StrataError when there is none.
    """
    root = raw_root(raw)
    base = root
    if any(c in raw for c in "*?[") or (not is_url(raw) and Path(raw).is_file()):
        pattern = raw
    else:
        base = f"{root}/events" if is_url(root) or (Path(root) / "events").is_dir() else root
        pattern = f"{base}/**"
    try:
        found = duckdb.execute("select filename, size, last_modified from read_blob(?)", [pattern]).fetchall()
    except duckdb.IOException as error:
        if is_url(raw):
            raise StrataError(f"RAW={raw} can't be read: {error}") from error
        found = []
    references = {f"{root}/{name}" for name in REFERENCE_TABLES}
    files = [
        (path[len(root) + 1 :] if path.startswith(root + "/") else path, path, size, str(modified.astimezone(UTC)))
        for path, size, modified in found
        if event_format(path)
        and "/." not in path[len(root) :]
        and f"{path.rpartition('/')[0]}/{path.rpartition('/')[2].split('.')[0]}" not in references
        and path != f"{root}/imports.jsonl"
    ]
    if odd := [path for name, path, *_ in files if any(sign in name for sign in "*?[")]:
        raise StrataError(f"{odd[0]} has a name that reads as a pattern of names: rename it, without *, ? and [.")
    if not files:
        raise StrataError(
            f"No messages found in {pattern}: Parquet (.parquet) or JSON lines (.jsonl, .ndjson, .json, also .gz) "
            "are read. Put the files there, or say RAW=path where they are."
        )
    return sorted(files)


def unread_files(raw: str, files: list[RawFile]) -> list[str]:
    """What lies among these message files and is none, by its path below the root; hidden files don't count."""
    root = Path(raw_root(raw))
    if is_url(raw) or not Path(raw).is_dir():
        return []
    base = root / "events" if (root / "events").is_dir() else root
    read = {file.path for file in files} | {f"{root}/imports.jsonl"}
    read |= {path for name in REFERENCE_TABLES for path in reference_files(raw, name)}
    return sorted(
        str(file.relative_to(root))
        for file in base.rglob("*")
        if file.is_file() and str(file) not in read and not file.name.startswith((".", "_"))
    )


def fingerprint(path: str, size: int, modified: str) -> str:
    """A hash of a local file's content; of size and modification time where the file is remote."""
    if is_url(path):
        return hashlib.blake2b(f"{size} {modified}".encode(), digest_size=16).hexdigest()
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def read_manifest(settings: Settings) -> tuple[date | None, list[RawFile]]:
    """The last day in the books, None before the first run, and the files that earlier runs have taken in."""
    path = settings.manifest / "files.jsonl"
    if not path.exists():
        return None, []
    try:
        books, *files = path.read_text().splitlines()
        return date.fromisoformat(json.loads(books)["closed_through"]), [RawFile(**json.loads(line)) for line in files]
    except (ValueError, KeyError, TypeError) as error:
        raise StrataError(
            f"{path} can't be read ({error}): put back the file from your back-up. It says what was received when; "
            "without it, closed months would be posted anew."
        ) from error


def write_lines(path: Path, rows: list[dict[str, object]], mode: int = 0o644) -> None:
    """Write JSON lines so that the file is either the old one or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as handle:
        handle.writelines(json.dumps(row, sort_keys=True) + "\n" for row in rows)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, path)


def write_manifest(settings: Settings, closed_through: date, files: list[RawFile]) -> None:
    """Remember the files of a run that succeeded, and how far the books are."""
    rows: list[dict[str, object]] = [{"closed_through": closed_through.isoformat()}]
    write_lines(settings.manifest / "files.jsonl", rows + [asdict(replace(file, path="")) for file in files])


def take_stock(settings: Settings, known: list[RawFile], open_date: date | None, now: datetime) -> list[RawFile]:
    """Every raw file there is: those of the manifest, checked, and new ones, scanned.

    Raises StrataError when a known file changed or is gone, and when a file can't be read or lacks a column.
    """
    remembered = {f.file: f for f in known}
    stock: list[RawFile] = []
    new: list[RawFile] = []
    try:
        found = list_files(settings.raw)
    except StrataError:
        if not known:
            raise
        found = []  # all are gone
    for name, path, size, modified in found:
        before = remembered.pop(name, None)
        if before is None:
            new.append(
                RawFile(
                    file=name,
                    format=event_format(path) or "",
                    fingerprint=fingerprint(path, size, modified),
                    size=size,
                    modified=modified,
                    first_seen_at=now.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds"),
                    open_date=open_date.isoformat() if open_date else None,
                    first_posted_at=None,
                    last_posted_at=None,
                    path=path,
                )
            )
            continue
        if (size, modified) != (before.size, before.modified) and fingerprint(
            path, size, modified
        ) != before.fingerprint:
            raise StrataError(
                f"{path} changed after its messages were taken in. Raw files are never edited: put the old content "
                "back, and deliver what is new as a new file."
            )
        stock.append(replace(before, path=path, size=size, modified=modified))
    if remembered:
        gone = ", ".join(sorted(remembered)[:3])
        raise StrataError(
            f"{len(remembered)} raw file(s) that were taken in are gone from {settings.raw}: {gone}. Put them back (or "
            "mount what they are on); "
            f"or, to begin anew without them, run `make clean DATASET={settings.dataset}`."
        )
    return sorted(stock + scan(new), key=lambda f: f.file)


def scan(files: list[RawFile]) -> list[RawFile]:
    """Read each new file's columns and the instants of its first and last message."""
    scanned: list[RawFile] = []
    with duckdb.connect() as db:
        db.execute("set TimeZone = 'UTC'; set threads = 2")
        by_columns: dict[str, list[RawFile]] = {}
        for file in files:
            columns = parquet_columns(db, file) if file.format == "parquet" else {}
            by_columns.setdefault(json.dumps(columns), []).append(replace(file, columns=columns))
        for group in by_columns.values():
            spans = posted_spans(db, group)
            for file in group:
                first, last, readable = spans.get(file.path, (None, None, 0))
                if file.format == "json" and not readable and has_lines(db, file.path):
                    raise StrataError(
                        f"{file.path} holds no line that is a JSON object. One message a line is expected; "
                        "a JSON array or a pretty-printed file must be converted first (`jq -c '.[]'`)."
                    )
                scanned.append(replace(file, first_posted_at=first, last_posted_at=last))
    return scanned


def has_lines(db: duckdb.DuckDBPyConnection, path: str) -> bool:
    """Does a file of JSON lines hold any? Its size doesn't say so where it is compressed."""
    return db.execute(f"select 1 from {READ_LINES.format(files='?')} limit 1", [path]).fetchone() is not None


def parquet_columns(db: duckdb.DuckDBPyConnection, file: RawFile) -> dict[str, list[str]]:
    """Contract column -> [name in the file, DuckDB type], for one Parquet file.

    Raises StrataError when the file is unreadable or a required column is missing.
    """
    try:
        described = db.execute("describe select * from read_parquet(?)", [file.path]).fetchall()
    except duckdb.Error as error:
        raise unreadable(file.path, error) from error
    present = {row[0]: row[1] for row in described}
    columns = {
        column: [name, present[name]]
        for column, camel in CONTRACT_COLUMNS.items()
        for name in (column, camel)
        if name in present
    }
    missing = [column for column in REQUIRED_COLUMNS if column not in columns]
    if missing:
        raise StrataError(
            f"{file.path} has no column {', '.join(missing)} (it has: {', '.join(present) or 'none'}). "
            "Each message needs message_id, type and timestamp: see the README on your own data."
        )
    return columns


def unreadable(path: str, error: Exception) -> StrataError:
    """The error for a file that can't be read at all."""
    reason = str(error).splitlines()[0]
    return StrataError(
        f"{path} can't be read: {reason}. Nothing was changed. Repair or remove the file, then run again."
    )


def name_unreadable(files: list[RawFile], window: Window, timezone: str) -> None:
    """Read every file of a run to its end, after a run has failed: raises StrataError with the name of a broken one."""
    with duckdb.connect() as db:
        for file in files:
            first, last = file.received_dates(timezone, window.first_day)
            if last < window.run_from or first > window.run_to:
                continue
            reader = "read_parquet(?)" if file.format == "parquet" else READ_LINES.format(files="?")
            try:
                db.execute(f"select count(hash(columns(*))) from {reader}", [file.path]).fetchall()
            except duckdb.Error as error:
                raise unreadable(file.path, error) from error


def instant(expression: str, kind: str) -> str:
    """DuckDB SQL that reads a raw value of type `kind` as a naive UTC timestamp, or null."""
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"make_timestamp(epoch_us({expression}))"
    if kind.startswith("TIMESTAMP"):
        return f"cast({expression} as timestamp)"
    return text_instant(expression)


def text_instant(text: str) -> str:
    """DuckDB SQL that reads a text as a naive UTC timestamp, or null; by its offset or zone where it has one."""
    return f"""
        case
            when regexp_matches({text}, ':[0-9.]+ *([+-][0-9:]+|[A-Za-z][A-Za-z_/ ]+)$')
                then make_timestamp(epoch_us(try_cast({text} as timestamptz)))
            else try_cast({text} as timestamp)
        end
    """


def posted_spans(db: duckdb.DuckDBPyConnection, group: list[RawFile]) -> dict[str, tuple[str | None, str | None, int]]:
    """Path -> (first and last posting instant as ISO text, readable messages), for files with the same columns."""
    paths = [file.path for file in group]
    if group[0].format == "parquet":
        columns = group[0].columns
        at = instant(f'"{columns["timestamp"][0]}"', columns["timestamp"][1])
        received = (
            instant(f'"{columns["received_at"][0]}"', columns["received_at"][1]) if "received_at" in columns else "null"
        )
        source = (
            f"select filename, {at} as happened_at, {received} as received_at "
            "from read_parquet({files}, filename = true)"
        )
    else:
        source = f"""
            select
                filename,
                {text_instant("found[1]")} as happened_at,
                {text_instant("coalesce(found[2], found[3])")} as received_at
            from (
                select
                    filename,
                    try(json_extract_string(line, ['$.timestamp', '$.received_at', '$.receivedAt'])) as found
                from {READ_LINES}
                where starts_with(ltrim(line), '{{{{')
            )
            where found is not null
        """
    latest = max(datetime.fromisoformat(file.first_seen_at) for file in group) + timedelta(days=1)
    query = f"""
        select
            filename,
            min(posted_at) filter (where posted_at between $earliest and $latest),
            max(posted_at) filter (where posted_at between $earliest and $latest),
            count(*)
        from (
            select
                filename,
                case
                    when coalesce(received_at, happened_at) between $earliest and $latest
                        then coalesce(received_at, happened_at)
                    else happened_at
                end as posted_at
            from ({source.format(files="$files")})
        )
        group by filename
    """
    try:
        rows = db.execute(query, {"files": paths, "earliest": EARLIEST, "latest": latest}).fetchall()
    except duckdb.Error as error:
        for path in paths if len(paths) > 1 else []:
            posted_spans(db, [next(file for file in group if file.path == path)])
        raise unreadable(paths[0] if len(paths) == 1 else ", ".join(paths[:3]), error) from error
    return {
        path: (first.isoformat() if first else None, last.isoformat() if last else None, messages)
        for path, first, last, messages in rows
    }


def raw_text(files: list[RawFile]) -> list[str]:
    """DuckDB SQL of what raw files say of people: a query per set of files with the same columns.

    Columns: path, row_number (from 0; null for JSON lines), message_id, type, event, user_id, anonymous_id,
    previous_id, order_id, traits, context, posted_at (naive UTC), and text: everything in the message. Blank ids are
    null.
    """
    by_columns: dict[str, list[RawFile]] = {}
    for file in files:
        by_columns.setdefault(json.dumps(file.columns), []).append(file)
    return [
        f"""
        select
            path, row_number,
            {", ".join(f"nullif(trim({column}), '') as {column}" for column in RAW_IDS)},
            case when type = 'track' and event like 'Order %'
                then try(json_extract_string(properties, '$.order_id')) end as order_id,
            traits, context, posted_at, text
        from ({_parquet_text(group) if group[0].columns else _json_text(group)})
        """
        for group in by_columns.values()
    ]


def _parquet_text(group: list[RawFile]) -> str:
    columns = group[0].columns

    def text(column: str) -> str:
        name, kind = columns.get(column, ["", ""])
        nested = kind.startswith(("STRUCT", "MAP")) or kind.endswith("]")
        return f'cast({"to_json" if nested else ""}("{name}") as varchar)' if name else "cast(null as varchar)"

    instants = [instant(f'"{columns[name][0]}"', columns[name][1]) for name in INSTANTS if name in columns]
    return f"""
        select
            filename as path, file_row_number as row_number,
            {", ".join(f"{text(column)} as {column}" for column in (*RAW_IDS, *RAW_OBJECTS))},
            coalesce({", ".join(instants)}) as posted_at,
            concat_ws(chr(10), *columns(* exclude (filename, file_row_number))) as text
        from read_parquet(
            {_listed(group)}, filename = true, file_row_number = true, union_by_name = true, hive_partitioning = false
        )
    """


def _json_text(group: list[RawFile]) -> str:
    keys = [*RAW_IDS, *RAW_OBJECTS, *INSTANTS]
    paths = ", ".join(f"'$.{name}'" for key in keys for name in (key, CONTRACT_COLUMNS[key]))
    found = {key: f"coalesce(found[{2 * number + 1}], found[{2 * number + 2}])" for number, key in enumerate(keys)}
    instants = [text_instant(found.pop(name)) for name in INSTANTS]
    return f"""
        select
            filename as path, cast(null as bigint) as row_number,
            {", ".join(f"{value} as {column}" for column, value in found.items())},
            coalesce({", ".join(instants)}) as posted_at,
            line as text
        from (
            select
                filename, line,
                case when starts_with(ltrim(line), '{{') then try(json_extract_string(line, [{paths}])) end as found
            from {READ_LINES.format(files=_listed(group))}
            where line is not null
        )
    """


def _listed(group: list[RawFile]) -> str:
    return "[" + ", ".join(literal(file.path) for file in group) + "]"


def last_closed_day(last_day: date, now: datetime, timezone: str) -> date:
    """The last day that is over by the clock and has a later message, or ended 24 hours ago.

    `last_day` is the latest received date of any message, `now` an aware instant.
    """
    zone = ZoneInfo(timezone)
    over = min(last_day, now.astimezone(zone).date() - timedelta(days=1))
    if over < last_day:
        return over
    ended = datetime.combine(over + timedelta(days=1), time(), tzinfo=zone).astimezone(UTC)
    return over if now >= ended + timedelta(hours=24) else over - timedelta(days=1)


def plan_window(
    files: list[RawFile], timezone: str, now: datetime, as_of: date | None, closed_through: date | None
) -> Window:
    """Fix the run's window once, before anything is written.

    `closed_through` is the last day in the warehouse's books, None when it is empty.
    Raises StrataError when no message has a usable date, or no day is closed yet.
    """
    dated = [file for file in files if file.first_posted_at]
    if not dated:
        raise StrataError(
            "No message in the raw files has a usable timestamp (ISO 8601, 1990 or later, not in the future). "
            "Look at the column `timestamp`; `make check` shows what would be rejected and why."
        )
    spans = [file.received_dates(timezone, date.max) for file in dated]
    first_day = min(first for first, _ in spans)
    closed = last_closed_day(max(last for _, last in spans), now, timezone)
    run_to = min(closed, as_of) if as_of else closed
    if run_to < first_day:
        raise StrataError(
            f"AS_OF={as_of} is before the first message ({first_day})."
            if as_of and as_of < first_day
            else f"No day is closed yet: the first messages are of {first_day}. A day is taken in once it is over."
        )
    if closed_through is None:
        return Window(first_day, run_to, run_to, first_day)
    if as_of is None:
        run_to = max(run_to, closed_through)
    return Window(max(closed_through + timedelta(days=1), first_day), run_to, run_to, first_day)


def kept_snapshots(first_day: date, as_of: date, week_ends: int = 13) -> list[date]:
    """The snapshot dates that are kept: month-ends since the data begins, the last week-ends (Sundays), and as_of."""
    kept = {as_of}
    month = date(first_day.year, first_day.month, 1)
    while month <= as_of:
        month = (month + timedelta(days=32)).replace(day=1)
        kept.add(month - timedelta(days=1))
    sunday = as_of - timedelta(days=(as_of.weekday() + 1) % 7)
    kept.update(sunday - timedelta(weeks=weeks) for weeks in range(week_ends))
    return sorted(day for day in kept if first_day <= day <= as_of)
