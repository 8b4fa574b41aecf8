"""`make forget`: a person leaves raw, warehouse, manifest and every publication, and a search proves it.

Nothing is touched before a note lies beside the manifest that says what is to be done. Whatever is interrupted after it
is finished by the next run: each step can be done again.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestration import diff_rules, erase, forgotten, persons, publish, raw_files
from orchestration.errors import StrataError
from orchestration.id_key import id_key
from orchestration.lock import writer_lock
from orchestration.persons import Person
from orchestration.raw_files import RawFile
from orchestration.refresh import rebuild
from orchestration.search import Place, search
from orchestration.settings import Settings
from orchestration.traces import normal


@dataclass(frozen=True)
class Plan:
    """What a forgetting would do: who is meant, the verdicts per raw file, and where else there are traces of them."""

    person: Person
    files: dict[str, Counter[erase.Verdict]]
    places: list[Place]
    publications: list[str]
    sources: list[str]
    """Files that were imported and lie elsewhere: Strata doesn't write there."""


@dataclass(frozen=True)
class Note:
    """What has been begun: who is meant, and the rewritten raw files with the fingerprints that they will have."""

    person: Person
    files: dict[str, str]

    @classmethod
    def read(cls, settings: Settings) -> Note | None:
        """The note of an interrupted run, None where there is none."""
        path = forgotten.note_path(settings)
        if not path.exists():
            return None
        found = json.loads(path.read_text())
        person = {name: tuple(map(_tupled, values)) for name, values in found["person"].items()}
        return cls(Person(**person | {"orders": frozenset(person["orders"])}), found["files"])

    def write(self, settings: Settings) -> None:
        """Leave the note, readable by its owner only: it names the person until the end."""
        path = forgotten.note_path(settings)
        temporary = path.with_suffix(".tmp")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            handle.write(json.dumps({"person": asdict(self.person), "files": self.files}, default=sorted))
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        publish.sync(path.parent)


def forget(
    settings: Settings,
    customer: str | None,
    *,
    confirm: Callable[[Plan], bool],
    rules: str | None = None,
    own_raw: bool = False,
    now: datetime | None = None,
    progress: bool = True,
) -> list[Place]:
    """Forget the person whom `customer` names, and finish what an interrupted run has begun; the places searched.

    customer: a customer_id of the marts, a user's or device's id, or an e-mail address; None only finishes.
    confirm: shown the plan, says whether to go on. rules, own_raw: as in `refresh`.
    Raises StrataError with what to do next: before anything was touched; or, where traces remain, at the end.
    """
    if raw_files.is_url(settings.raw):
        raise StrataError(
            f"RAW={settings.raw} is a URL: Strata doesn't rewrite files there, so nothing was touched. Take the "
            "person's messages out of the files yourself; or copy them into a local folder, forget there, and put "
            "them back."
        )
    now = now or datetime.now(UTC)
    with writer_lock(settings):
        places: list[Place] = []
        note = Note.read(settings)
        if note:
            places = _finish(settings, note, rules, own_raw, now, progress)
            if not customer or normal(customer) in note.person.names:
                return places
        if not customer:
            raise StrataError("Say who is to be forgotten: CUSTOMER=id or CUSTOMER=address@example.com.")
        closed_through, known = raw_files.read_manifest(settings)
        open_date = closed_through + timedelta(days=1) if closed_through else None
        files = raw_files.take_stock(settings, known, open_date, now)
        person = persons.find(settings, files, customer, id_key(settings))
        if person is None:
            return _search_again(settings, files, customer)
        plan = _plan(settings, files, person)
        if not confirm(plan):
            raise StrataError("Nothing was changed.")
        note = _begin(settings, files, plan, now)
        return _finish(settings, note, rules, own_raw, now, progress)


def _search_again(settings: Settings, files: list[RawFile], customer: str) -> list[Place]:
    """Nobody is called so any more: fine where they were forgotten, and a misspelling elsewhere."""
    listed = forgotten.read_list(settings)
    if forgotten.id_hash(id_key(settings), customer) not in listed:
        raise StrataError(
            f"No message in {settings.raw} names CUSTOMER={customer}. Give a customer_id as the marts show it, a "
            "user_id, an anonymous_id, or an e-mail address that the person has stated."
        )
    return _proven(search(settings, files, Person(users=(customer,)).traces), settings)


def _plan(settings: Settings, files: list[RawFile], person: Person) -> Plan:
    imports = Path(raw_files.raw_root(settings.raw)) / "imports.jsonl"
    records = [json.loads(line) for line in imports.read_text().splitlines()] if imports.is_file() else []
    return Plan(
        person=person,
        files=erase.verdicts(files, person.traces, person.orders),
        places=[place for place in search(settings, files, person.traces) if place.hits],
        publications=publish.kept_runs(settings),
        sources=sorted({record["source"] for record in records if record["source"]}),
    )


def _begin(settings: Settings, files: list[RawFile], plan: Plan, now: datetime) -> Note:
    """Write the new files beside the old ones, hidden; then the note; then the list. Nothing old is touched yet."""
    traces = plan.person.traces
    affected = [file for file in files if file.file in plan.files]
    locked = [
        str(folder) for folder in {_temporary(file.path).parent for file in affected} if not os.access(folder, os.W_OK)
    ]
    if locked:
        raise StrataError(
            f"{locked[0]} can't be written to, so nothing was touched. Give yourself the right to, then run again."
        )
    fingerprints = {}
    for file in files:
        _temporary(file.path).unlink(missing_ok=True)  # left by a run that was interrupted before its note
    for file in affected:
        temporary = _temporary(file.path)
        erase.rewrite(file, traces, plan.person.orders, temporary)
        fingerprints[file.file] = raw_files.fingerprint(str(temporary), 0, "")
    note = Note(plan.person, fingerprints)
    note.write(settings)
    forgotten.add_to_list(
        settings, id_key(settings), (*plan.person.ids, *plan.person.contacts), now.astimezone(UTC).date()
    )
    return note


def _finish(
    settings: Settings, note: Note, rules: str | None, own_raw: bool, now: datetime, progress: bool
) -> list[Place]:
    """Everything after the note, from wherever it was interrupted."""
    forgotten.add_to_list(
        settings, id_key(settings), (*note.person.ids, *note.person.contacts), now.astimezone(UTC).date()
    )
    paths = {name: path for name, path, _, _ in raw_files.list_files(settings.raw)}
    for name, fingerprint in note.files.items():
        if name not in paths:
            raise StrataError(f"{name} is gone from {settings.raw}: put it back, then run again.")
        temporary = _temporary(paths[name])
        if temporary.exists():
            os.replace(temporary, os.path.realpath(paths[name]))
            publish.sync(temporary.parent)
        if raw_files.fingerprint(paths[name], 0, "") != fingerprint:
            raise StrataError(
                f"{paths[name]} was changed while a person was being taken out of it: put back the content of before, "
                f"remove {forgotten.note_path(settings)}, then run again."
            )
    _update_manifest(settings, note)
    diff_rules.remove(settings.trial)
    (settings.proposals / diff_rules.MOVES_FILE).unlink(missing_ok=True)
    if raw_files.read_manifest(settings)[1]:
        rebuild(settings, rules=rules, own_raw=own_raw, now=now, progress=progress)
    publish.remove_old(settings, keep=0)
    _refuse_replaced(settings)
    _, known = raw_files.read_manifest(settings)
    files = raw_files.take_stock(settings, known, None, now)
    places = _proven(search(settings, files, note.person.traces), settings)
    forgotten.note_path(settings).unlink()
    return places


def _update_manifest(settings: Settings, note: Note) -> None:
    """New fingerprints, sizes and times; when a file was first seen and its days stay, so everybody else's days do."""
    closed_through, known = raw_files.read_manifest(settings)
    if not closed_through:
        return
    found = {name: (size, modified) for name, _, size, modified in raw_files.list_files(settings.raw)}
    raw_files.write_manifest(
        settings,
        closed_through,
        [
            replace(file, fingerprint=note.files[file.file], size=found[file.file][0], modified=found[file.file][1])
            if file.file in note.files
            else file
            for file in known
        ],
    )


def _proven(places: list[Place], settings: Settings) -> list[Place]:
    """Raises StrataError, saying where, when anything was found."""
    left = [f"  {place.kind} {place.name}: {place.hits:,}" for place in places if place.hits]
    if left:
        raise StrataError(
            "Traces remain:\n" + "\n".join(left[:20]) + ("\n  ..." if len(left) > 20 else "")
            + f"\nPut that right, then `make forget DATASET={settings.dataset}` once more: it isn't finished before."
        )  # fmt: skip
    return places


def _refuse_replaced(settings: Settings) -> None:
    """Raises StrataError while PostgreSQL keeps schemas of earlier publications, because somebody reads them."""
    if not os.environ.get("STRATA_POSTGRES"):
        return
    from orchestration.postgres import replaced_schemas  # imported late: it takes half a second

    if left := replaced_schemas():
        raise StrataError(
            f"Somebody still reads earlier publications in PostgreSQL: {', '.join(left)}. End these sessions, then "
            f"`make forget DATASET={settings.dataset}` once more: it isn't finished before."
        )


def _temporary(path: str) -> Path:
    """Where a raw file is rewritten: beside the file itself (not a link to it), hidden, so that no run reads it."""
    real = Path(os.path.realpath(path))
    return real.with_name(f".{real.name}.forget")


def _tupled(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
