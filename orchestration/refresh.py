"""The refresh: raw files to published marts, in one go."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from orchestration import checks, datasets, dbt, publish, raw_files
from orchestration.errors import StrataError
from orchestration.forgotten import list_path, refuse_unfinished
from orchestration.id_key import id_key, id_key_path
from orchestration.lock import writer_lock
from orchestration.raw_files import RawFile, Window
from orchestration.rules import find_folder, read_rules, write_own_rules
from orchestration.settings import Settings


@dataclass
class Refresh:
    """What a refresh did, in seconds per stage, and per layer within dbt (which runs two models at a time).

    `published` is None when there was nothing new and the last publication stands.
    """

    settings: Settings
    window: Window
    seconds: dict[str, float]
    cpu_seconds: dict[str, float]
    layer_seconds: dict[str, float] = field(default_factory=dict)
    manifest: Mapping[str, Any] | None = None
    """dbt's manifest; None where nothing had to be computed."""
    published: Path | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Books:
    """How far a warehouse is: kept in the warehouse, taken back before a run writes, set when it has succeeded.

    `run_id` (with `state`, all that its figures depend on, and its passed tests): the run that left the warehouse
    whole; empty while one writes, and after one that failed.
    """

    closed_through: date | None = None
    facts_version: str = ""
    rules_version: str = ""
    logic_version: str = ""
    snapshots: tuple[date, ...] = ()
    run_id: str = ""
    state: str = ""
    checks_passed: int = 0

    @classmethod
    def read(cls, warehouse: Path, *, read_only: bool = False) -> Books:
        """The state of a warehouse; that of an empty one where there is none.

        Raises StrataError where the file is none that DuckDB can read.
        """
        if not warehouse.exists():
            return cls()
        try:
            opened = duckdb.connect(str(warehouse), read_only=read_only)
        except duckdb.Error as error:
            if "Could not set lock" in str(error):
                raise
            raise StrataError(
                f"{warehouse} can't be read: {str(error).splitlines()[0]} Remove it and refresh: it is built anew from "
                "the raw files and the manifest."
            ) from error
        with opened as db:
            if not db.execute("select 1 from duckdb_tables() where table_name = 'strata_books'").fetchone():
                return cls()
            (state,) = db.execute("select state from main.strata_books").fetchone() or ("{}",)
        found = json.loads(state)
        return cls(
            closed_through=date.fromisoformat(found["closed_through"]) if found.get("closed_through") else None,
            facts_version=found.get("facts_version", ""),
            rules_version=found.get("rules_version", ""),
            logic_version=found.get("logic_version", ""),
            snapshots=tuple(date.fromisoformat(day) for day in found.get("snapshots", [])),
            run_id=found.get("run_id", ""),
            state=found.get("state", ""),
            checks_passed=found.get("checks_passed", 0),
        )

    def before(self, day: date) -> Books:
        """These books as if no later day had been taken in."""
        if not self.closed_through or day > self.closed_through:
            return self
        return replace(
            self,
            closed_through=day - timedelta(days=1),
            snapshots=tuple(snapshot for snapshot in self.snapshots if snapshot < day),
        )

    def write(self, warehouse: Path) -> None:
        """Set the state of a warehouse."""
        warehouse.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(str(warehouse)) as db:
            db.execute("create or replace table main.strata_books as select cast(? as varchar) as state",
                       [json.dumps(asdict(self), default=str)])  # fmt: skip


@dataclass(frozen=True)
class Versions:
    """Hashes of a configuration: facts (a change builds the warehouse anew), rules (a change restates the snapshots),
    logic, which is all that is in the rules' but the seeds, and words, what is said of tables, with the tests (a change
    tests and publishes)."""

    facts: str
    rules: str
    logic: str
    words: str

    @classmethod
    def of(cls, settings: Settings, business: Mapping[str, Any], own_rules: tuple[Path, ...]) -> Versions:
        """The versions of the project as it lies there, with the business's variables and a user's own rules."""
        # References have no dates: where snapshots read one, its change restates them, as a rule's does.
        references = references_version(settings.raw, raw_files.SNAPSHOT_REFERENCES)
        told = {**business, "references": references}
        return cls(
            facts=dbt.version_of(dbt.FACT_PATHS, {name: business[name] for name in dbt.FACT_VARIABLES}),
            rules=dbt.version_of(dbt.RULE_PATHS, told, extra=own_rules),
            logic=dbt.version_of(tuple(path for path in dbt.RULE_PATHS if path != "seeds"), told),
            words=dbt.version_of(dbt.WORD_PATHS, {}, suffixes=(".yml", ".md")),
        )


def books_of_publication(settings: Settings) -> tuple[Books, date]:
    """The books of the warehouse that the publication was made from, and the publication's day.

    Raises StrataError where there is none, or where the warehouse has gone on since. The caller holds the lock.
    """
    published = publish.current(settings)
    if not published or not settings.warehouse.exists():
        raise StrataError(
            f"Nothing is published for {settings.dataset!r}: `make refresh DATASET={settings.dataset}` first."
        )
    books, as_of = Books.read(settings.warehouse, read_only=True), date.fromisoformat(published["as_of"])
    with duckdb.connect(str(settings.warehouse), read_only=True) as db:
        [(latest,)] = db.execute("select max(snapshot_date) from intermediate.int_snapshot_dates").fetchall()
    _, facts_version, rules_version, *_ = published["state"].split()
    if (books.facts_version, books.rules_version, latest) != (facts_version, rules_version, as_of):
        raise StrataError(
            f"The warehouse of {settings.dataset!r} is not the one that is published: a refresh has not finished, or "
            f"the publication was rolled back. `make refresh DATASET={settings.dataset}` first."
        )
    return books, as_of


def exchange_rates(settings: Settings, open_date: date | None) -> tuple[list[dict[str, Any]], list[str]]:
    """The book of exchange rates with what the reference table has new, and notes on what was ignored.

    A rate enters once and never changes; one that turns up after its day was closed holds from the first open day on.
    That way no posted amount depends on what was delivered later.
    """
    path = settings.manifest / "exchange_rates.jsonl"
    book = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    found: list[tuple[str, date, str]] = []
    for location in raw_files.reference_files(settings.raw, "exchange_rates"):
        query = f"""
            select
                upper(trim(currency)),
                cast(rate_date as date),
                cast(cast(rate_to_reporting as decimal(18, 8)) as varchar)
            from {raw_files.reference_reader(location)}
            where currency is not null and rate_date is not null and cast(rate_to_reporting as decimal(18, 8)) > 0
            order by all
        """
        try:
            found = duckdb.execute(query, [location]).fetchall()
        except duckdb.Error as error:
            raise StrataError(
                f"{location} can't be read as exchange rates: {str(error).splitlines()[0]}. "
                "It needs the columns currency, rate_date and rate_to_reporting."
            ) from error
    known = {(row["currency"], row["rate_date"]): row["rate_to_reporting"] for row in book}
    notes, fresh = [], []
    for currency, rate_date, rate in found:
        key = (currency, rate_date.isoformat())
        if key in known:
            if known[key] != rate:
                notes.append(
                    f"{currency} on {rate_date}: {known[key]} is in the books; the new rate {rate} is ignored."
                )
            continue
        outdated = any(row["currency"] == currency and row["rate_date"] > key[1] for row in book)
        effective = max(rate_date, open_date) if open_date else rate_date
        if outdated:
            notes.append(
                f"The rate of {currency} on {rate_date} came after a later one was in the books; it is ignored."
            )
        fresh.append({
            "currency": currency, "rate_date": key[1], "rate_to_reporting": rate,
            "effective_date": None if outdated else effective.isoformat(),
        })  # fmt: skip
        known[key] = rate
    return book + fresh, notes


def run_variables(
    settings: Settings, window: Window, business: Mapping[str, Any], last: datetime, paths: tuple[Path, Path]
) -> dict[str, Any]:
    """What dbt is told about a run, but for versions and snapshots. `last`: the raw files' latest instant, UTC."""
    id_key(settings)
    return {
        **business,
        "manifest_path": str(paths[0]),
        "rates_path": str(paths[1]) if paths[1].stat().st_size else "",
        "keys_path": str(id_key_path(settings)),
        "forgotten_path": str(list_path(settings)) if list_path(settings).exists() else "",
        "raw_root": raw_files.raw_root(settings.raw),
        "run_from": window.run_from.isoformat(),
        "run_to": window.run_to.isoformat(),
        "as_of": window.as_of.isoformat(),
        "utc_offsets": raw_files.utc_offsets(business["business_timezone"], last),
    }


def write_run_manifest(
    settings: Settings, files: list[RawFile], rates: list[dict[str, Any]], timezone: str, window: Window
) -> tuple[Path, Path]:
    """What dbt reads of the manifest in this run: paths as they are now, received dates in the business time zone."""
    rows: list[dict[str, object]] = []
    for file in files:
        first, last = file.received_dates(timezone, window.first_day)
        rows.append({
            "file": file.file, "path": file.path, "format": file.format, "columns": json.dumps(file.columns),
            "open_date": file.open_date, "first_seen_at": file.first_seen_at,
            "first_received_date": first.isoformat(), "last_received_date": last.isoformat(),
        })  # fmt: skip
    manifest, book = settings.manifest / "run_files.jsonl", settings.manifest / "run_rates.jsonl"
    raw_files.write_lines(manifest, rows)
    raw_files.write_lines(book, list(rates))
    return manifest, book


def references_version(raw: str, tables: Sequence[str] = raw_files.REFERENCE_TABLES) -> str:
    """A hash of what the optional reference tables hold now: 16 hexadecimal digits. The same content keeps it."""
    query = "select md5(content) from read_blob(?)"
    found = [
        (name, duckdb.execute(query, [path]).fetchall())
        for name in tables
        for path in raw_files.reference_files(raw, name)
    ]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]


def refresh(
    settings: Settings,
    *,
    as_of: date | None = None,
    source: str | None = None,
    size: int | None = None,
    until: date | None = None,
    rules: str | None = None,
    own_raw: bool = False,
    rebuild_from: date | None = None,
    now: datetime | None = None,
    progress: bool = True,
) -> Refresh:
    """Take in what is new, rebuild what depends on it, test it, publish it.

    `rules`: a folder of rules that stand in for the package's and the data set's. `own_raw`: settings.raw was named by
    the user, so nothing is generated. `rebuild_from`: received date from which on all is computed anew. `now`: the
    clock (aware), for rehearsals.
    Raises StrataError with what to do next; the last publication then stays as it was.
    """
    now = now or datetime.now(UTC)
    with writing(settings):
        clock = Stopwatch()
        notes = [] if own_raw else take_in(settings, now=now, source=source, size=size, until=until)
        clock.lap("raw messages")
        done = build(
            settings, clock, as_of=as_of, rules=rules, own_raw=own_raw, rebuild_from=rebuild_from, now=now,
            progress=progress,
        )  # fmt: skip
        done.notes += notes
        done.published = publish_warehouse(settings, done.manifest)
        clock.lap("publication")
        publish_atlas(settings)
        clock.lap("atlas")
        if publish_to_postgres(settings):
            clock.lap("PostgreSQL")
    return done


@contextmanager
def writing(settings: Settings) -> Iterator[None]:
    """Hold the right to write a data set: writer_lock, and no forgetting that was interrupted (StrataError)."""
    with writer_lock(settings):
        refuse_unfinished(settings)
        yield


def take_in(
    settings: Settings, *, now: datetime, source: str | None = None, size: int | None = None, until: date | None = None
) -> list[str]:
    """Bring the raw messages up to date with the data set's script and source; remarks. The caller holds the lock."""
    kept_out = datasets.prepare(settings, source=source, size=size, until=until, now=now).kept_out
    return [f"Messages of people who were forgotten, {what} on the way in: {n:,}." for what, n in kept_out.items()]


def rebuild(settings: Settings, *, rules: str | None, own_raw: bool, now: datetime, progress: bool = True) -> None:
    """Build the warehouse anew from the raw files as they are, and publish it. The caller holds the writer lock.

    Nothing is imported. The old warehouse file goes as a whole: deleted rows would stay in its free blocks.
    """
    for file in settings.warehouse.parent.glob(f"{settings.dataset}.duckdb*"):
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    done = build(settings, Stopwatch(), rules=rules, own_raw=own_raw, now=now, progress=progress)
    publish_warehouse(settings, done.manifest)
    publish_atlas(settings)
    publish_to_postgres(settings)


def stage_only(settings: Settings, raw: str, variables: Mapping[str, Any], now: datetime) -> Path:
    """Stage messages and orders into the warehouse of `settings`, for a dry run, and return its path.

    Every day counts as closed, and nothing is remembered.
    """
    trial = Settings.of(settings.dataset, raw=raw, home=settings.home)
    business = dbt.business_variables(variables)
    files = raw_files.take_stock(trial, [], None, now)
    window = raw_files.plan_window(files, business["business_timezone"], now + timedelta(days=2), None, None)
    rates, _ = exchange_rates(trial, None)
    last = max(datetime.fromisoformat(file.last_posted_at) for file in files if file.last_posted_at)
    paths = write_run_manifest(trial, files, rates, business["business_timezone"], window)
    trial.warehouse.parent.mkdir(parents=True, exist_ok=True)
    dbt.build(trial, run_variables(trial, window, business, last, paths), select="+int_order_entries", progress=False)
    return trial.warehouse


def clean(settings: Settings) -> list[str]:
    """Remove a data set's warehouse, publications, proposals and manifest, and raw messages that were generated for it.

    Raw messages that were put there by hand stay, and so does the list of those who were forgotten, with the key to it:
    a new import must not bring them back. Returns what was removed.
    """
    with writer_lock(settings):
        refuse_unfinished(settings)
        places = [settings.published, settings.proposals]
        places += settings.warehouse.parent.glob(f"{settings.dataset}.duckdb*")
        if (Path(settings.raw) / "imports.jsonl").exists():
            places.append(Path(settings.raw))
        kept = {list_path(settings).name, id_key_path(settings).name} if list_path(settings).exists() else set()
        places += (
            [path for path in settings.manifest.glob("*") if path.name not in kept] if kept else [settings.manifest]
        )
        removed = [path for path in places if path.exists()]
        for path in removed:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return [str(path) for path in removed]


def build(
    settings: Settings,
    clock: Stopwatch,
    *,
    rules: str | None,
    own_raw: bool,
    now: datetime,
    as_of: date | None = None,
    rebuild_from: date | None = None,
    progress: bool = True,
    on_result: Callable[[dbt.NodeResult], None] | None = None,
) -> Refresh:
    """Compute and test what the raw files and the rules change; nothing is published. The caller holds the lock.

    `on_result` is told of each seed, model and test as dbt ends it. Raises StrataError where anything fails.
    """
    variables, rules_folder = datasets.configuration_of(settings.dataset) if not own_raw else ({}, "")
    in_force = read_rules(find_folder(rules, rules_folder))
    business = dbt.business_variables(variables)
    versions = Versions.of(settings, business, in_force.own_files)
    timezone = business["business_timezone"]
    closed_through, known = raw_files.read_manifest(settings)
    open_date = closed_through + timedelta(days=1) if closed_through else None
    files = raw_files.take_stock(settings, known, open_date, now)
    rates, notes = exchange_rates(settings, open_date)
    if unread := raw_files.unread_files(settings.raw, files):
        notes.append(
            f"{len(unread):,} files are no messages by their names and were not read: {', '.join(unread[:3])}"
            + (", ..." if len(unread) > 3 else "")
        )

    books = Books.read(settings.warehouse)
    if books.facts_version != versions.facts:
        settings.warehouse.unlink(missing_ok=True)
        books = Books(facts_version=versions.facts)
    if rebuild_from:
        books = books.before(rebuild_from)
    in_books = (
        min(filter(None, (books.closed_through, closed_through))) if books.closed_through and closed_through else None
    )
    window = raw_files.plan_window(files, timezone, now, as_of, in_books)
    kept = raw_files.kept_snapshots(window.first_day, window.as_of)
    valid = set(books.snapshots) if books.rules_version == versions.rules else set()
    to_build = [day for day in kept if day not in valid or day >= window.run_from]
    state = f"{window.as_of} {versions.facts} {versions.rules} {references_version(settings.raw)} {versions.words}"
    clock.lap("manifest")

    done = Refresh(settings, window, clock.seconds, clock.cpu_seconds, notes=notes)
    if not window.has_new_days and not to_build and books.run_id and books.state == state:
        return done

    # What this run writes is taken out of the books before, and entered after: a broken run leaves no false claim.
    Books(
        closed_through=window.run_from - timedelta(days=1) if in_books else None,
        facts_version=versions.facts,
        rules_version=versions.rules,
        logic_version=versions.logic,
        snapshots=tuple(day for day in kept if day not in to_build),
    ).write(settings.warehouse)
    run_id = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    last = max(datetime.fromisoformat(file.last_posted_at) for file in files if file.last_posted_at)
    told = run_variables(
        settings, window, business, last, write_run_manifest(settings, files, rates, timezone, window)
    ) | {
        "own_rules": write_own_rules(settings, in_force),
        "snapshots": [day.isoformat() for day in kept],
        "snapshots_to_build": [day.isoformat() for day in to_build],
        "rules_version": versions.rules,
        "run_id": run_id,
    }
    try:
        built = dbt.build(
            settings, told, restate=books.rules_version != versions.rules, progress=progress, on_result=on_result
        )
    except StrataError:
        raw_files.name_unreadable(files, window, timezone)
        raise
    done.manifest, done.layer_seconds = built.manifest, built.seconds
    closed = max(window.run_to, in_books) if in_books else window.run_to
    Books(
        closed, versions.facts, versions.rules, versions.logic, tuple(kept), run_id, state, built.checks_passed
    ).write(settings.warehouse)
    raw_files.write_lines(settings.manifest / "exchange_rates.jsonl", rates)
    raw_files.write_manifest(settings, max(closed, closed_through or closed), files)
    clock.lap("dbt")
    return done


def is_served(settings: Settings) -> bool:
    """Do readers see what the warehouse holds, with its page? Of a database, only a server could say.

    The caller holds the lock.
    """
    if os.environ.get("STRATA_POSTGRES") or not publish.has_atlas(settings):
        return False
    run_id = Books.read(settings.warehouse).run_id
    return bool(run_id) and publish.is_whole(settings, run_id)


def publish_warehouse(settings: Settings, manifest: Mapping[str, Any] | None = None) -> Path | None:
    """Publish what the warehouse holds; None where readers see it already. The caller holds the lock.

    `manifest`: dbt's, where the caller has it. Raises StrataError where the last run has not left the warehouse whole,
    where a standing check is in error, and see publish.publish.
    """
    books = Books.read(settings.warehouse)
    if not books.run_id:
        raise StrataError(
            f"The warehouse of {settings.dataset!r} is not whole: the run that wrote it last has failed. "
            f"`make refresh DATASET={settings.dataset}` says why, or mends it."
        )
    if publish.is_whole(settings, books.run_id):
        return None
    if books.run_id in publish.kept_runs(settings):
        publish.point_back(settings, books.run_id)  # rolled back since, or killed before the links had moved
        if publish.is_whole(settings, books.run_id):
            return settings.published / publish.LINK
        publish.discard(settings, books.run_id)  # damaged; what it was made from is whole
    checks.refuse_errors(checks.of_figures(settings.warehouse))
    facts = {"state": books.state, "as_of": books.state.split()[0], "checks_passed": books.checks_passed}
    return publish.publish(
        settings, manifest=manifest or dbt.project_manifest(settings), run_id=books.run_id, facts=facts
    ).path


def publish_atlas(settings: Settings) -> bool:
    """Make the page of the current publication, unless it is there. Was it made now? The caller holds the lock."""
    if publish.has_atlas(settings):
        return False
    from orchestration import atlas  # imported late: it takes half a second

    publish.add_atlas(settings, atlas.write)
    return True


def publish_to_postgres(settings: Settings, publication: Path | None = None) -> dict[str, int]:
    """Load a publication's DuckDB file (the current one's), where STRATA_POSTGRES names a database that lacks it.

    Rows by table, none where nothing was loaded. The caller holds the lock.
    """
    if not os.environ.get("STRATA_POSTGRES"):
        return {}
    from orchestration.postgres import publish_postgres  # imported late: it takes half a second

    return publish_postgres(settings, publication)


class Stopwatch:
    """Wall and CPU seconds per stage, in the order in which they were measured."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def lap(self, stage: str) -> None:
        """The time since the last lap was this stage's."""
        wall, cpu = time.monotonic(), time.process_time()
        self.seconds[stage] = wall - self._wall
        self.cpu_seconds[stage] = cpu - self._cpu
        self._wall, self._cpu = wall, cpu
