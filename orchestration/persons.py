"""Who is meant: all ids of the person that somebody names by one of them, or by an e-mail address.

What counts is what the raw files say, posted or not, accepted or not; only which alias of several holds is read from
the warehouse, as the marts have it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

import duckdb

from orchestration.errors import StrataError
from orchestration.quoting import literal
from orchestration.raw_files import RawFile, raw_text
from orchestration.settings import Settings
from orchestration.traces import AFTER, BEFORE, Traces, normal, normal_sql


@dataclass(frozen=True)
class Person:
    """A customer's user ids and the devices that are only theirs, and what else tells who they are.

    `contacts`: e-mail addresses and telephone numbers that nobody else has stated. `orders`: their order_ids.
    `shared`: devices and contacts that others have too, with how many; they stay. `shown`: ids as marts show them.
    """

    users: tuple[str, ...]
    devices: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()
    orders: frozenset[str] = frozenset()
    shared: tuple[tuple[str, int], ...] = ()
    shown: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids that a message may carry."""
        return (*self.users, *self.devices)

    @property
    def names(self) -> frozenset[str]:
        """Everything that the person may be called by, for comparison."""
        return frozenset(normal(one) for one in (*self.ids, *self.contacts, *self.shown))

    @property
    def traces(self) -> Traces:
        """What to look for in texts."""
        return Traces(self.ids, (*self.ids, *self.contacts, *self.shown))


def public_id(key: str, one: str) -> str:
    """An id as marts show it: `macros/public_id.sql` in Python."""
    is_personal = "@" in one or one[:1] in ("+", "(")
    return f"id-{hashlib.md5(f'{key}|{one}'.encode(), usedforsecurity=False).hexdigest()}" if is_personal else one


def find(settings: Settings, files: list[RawFile], customer: str, key: str) -> Person | None:
    """The person whom `customer` names: a customer_id of the marts, a user's or device's id, or an e-mail address.

    None where no message names them. Raises StrataError where a device is meant that several people use.
    """
    with closing(duckdb.connect()) as db:
        _read_ids(db, files)
        _read_aliases(db, settings)
        seeds = _named(db, files, customer, key)
        if not seeds:
            return None
        found = _spread(db, _users_behind(db, seeds, customer))
        while True:
            contacts, shared_contacts = _contacts(db, files, found)
            # An id that is the person's own address, or is written around it (`Jane Doe <jane@...>`), is the person's.
            more = _ids(db, f"normal_id in ({_list(map(normal, contacts))})") | _around(db, {*contacts, *found})
            more -= found
            if not more:
                break
            found = _spread(db, found | more)
        devices = _ids(db, f"{_is_in(found)} and not is_user")
        users = found - devices
        shared = db.execute(
            f"""
            select device, count(distinct user_id) filter (where not {_is_in(found, "user_id")})
            from seen
            group by device
            having count_if({_is_in(found, "user_id")}) > 0 and count_if(not {_is_in(found, "user_id")}) > 0
            order by device
            """
        ).fetchall()
        return Person(
            users=tuple(sorted(users)),
            devices=tuple(sorted(devices)),
            contacts=tuple(sorted(contacts)),
            orders=frozenset(_orders(db, files, found)),
            shared=(*shared, *shared_contacts),
            shown=tuple(sorted({public_id(key, one) for one in found} - found)),
        )


def _around(db: duckdb.DuckDBPyConnection, names: set[str]) -> set[str]:
    """The ids that hold one of these e-mail addresses, and not as a part of another one."""
    addresses = sorted({normal(one) for one in names if "@" in one})
    if not addresses:
        return set()
    whole = re.compile(f"{BEFORE}(?:{'|'.join(map(re.escape, addresses))}){AFTER}")
    held = " or ".join(f"contains(normal_id, {literal(address)})" for address in addresses)
    return {one for one in _ids(db, held) if whole.search(normal(one))}


def _read_ids(db: duckdb.DuckDBPyConnection, files: list[RawFile]) -> None:
    """Tables `named` (the ids that occur together in a message), `ids` (each id once), `seen` (devices with users)."""
    db.execute("set threads = 2; set timezone = 'UTC'")
    queries = " union all ".join(
        f"select user_id, anonymous_id, previous_id, type, posted_at, message_id from ({query})"
        for query in raw_text(files)
    )
    db.execute(
        f"""
        create table named as
        select
            user_id, anonymous_id, case when type = 'alias' then previous_id end as previous_id,
            min(struct_pack(posted_at := posted_at, message_id := message_id)) as first
        from ({queries})
        group by all;
        create table seen as
        select distinct anonymous_id as device, user_id from named
        where anonymous_id is not null and user_id is not null;
        create table ids as
        select id, {normal_sql("id")} as normal_id, bool_or(is_user) as is_user
        from (
            select user_id as id, true as is_user from named
            union all
            select previous_id, previous_id not in (select anonymous_id from named where anonymous_id is not null)
            from named
            union all select anonymous_id, false from named
        )
        where id is not null
        group by id
        """
    )


def _read_aliases(db: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Table `aliases` (previous_id, user_id): those that hold, by the warehouse; where there is none, by the files."""
    query = """
        select previous_id, arg_min(coalesce(user_id, anonymous_id), first) as user_id
        from named
        where previous_id is not null and coalesce(user_id, anonymous_id) <> previous_id
        group by previous_id
    """
    if settings.warehouse.exists():
        db.execute(f"attach {literal(settings.warehouse)} as warehouse (read_only)")
        if db.execute(
            "select 1 from duckdb_tables() where database_name = 'warehouse' and table_name = 'int_aliases'"
        ).fetchone():
            query = "select previous_id, user_id from warehouse.intermediate.int_aliases"
    db.execute(f"create table aliases as {query}")


def _named(db: duckdb.DuckDBPyConnection, files: list[RawFile], customer: str, key: str) -> set[str]:
    """The ids that `customer` names as such: the id itself, one that marts show as it, those who stated the address."""
    found = _ids(db, f"normal_id = {literal(normal(customer))}")
    if customer.startswith("id-"):
        hashed = f"'id-' || md5({literal(key + '|')} || id)"
        found |= _ids(db, f"(contains(id, '@') or id[1] in ('+', '(')) and {hashed} = {literal(customer)}")
    addresses = sorted({one.lower() for one in {customer, *found} if "@" in one})
    if addresses:
        mentioned = " or ".join(f"contains(lower(text), {literal(address)})" for address in addresses)
        stated = f"list_transform({_stated_sql()}, lambda stated: lower(stated))"
        found |= {
            one
            for query in raw_text(files)
            for (one,) in db.execute(
                f"""
                select distinct coalesce(user_id, anonymous_id)
                from ({query})
                where ({mentioned}) and list_has_any({stated}, [{_list(addresses)}])
                    and coalesce(user_id, anonymous_id) is not null
                """
            ).fetchall()
        }
    return found


def _users_behind(db: duckdb.DuckDBPyConnection, seeds: set[str], customer: str) -> set[str]:
    """The seeds, and the user of each device among them. Where a device has had several, nobody is meant by it."""
    found = set(seeds)
    for device in seeds - _ids(db, "is_user"):
        users = [user for (user,) in db.execute("select user_id from seen where device = ?", [device]).fetchall()]
        if len(users) > 1 and not set(users) <= _spread(db, {users[0]}):
            raise StrataError(
                f"CUSTOMER={customer} is a device that {len(users)} people use: {', '.join(sorted(users)[:5])}. "
                "Say which of them is meant."
            )
        found |= set(users)
    return found


def _spread(db: duckdb.DuckDBPyConnection, seeds: set[str]) -> set[str]:
    """All ids of the customers that the seeds are: aliases both ways, and devices that nobody else was seen on."""
    found: set[str] = set()
    more = set(seeds)
    while more - found:
        found |= more
        rows = db.execute(
            f"""
            select unnest([previous_id, user_id]) from aliases
            where {_is_in(found, "previous_id")} or {_is_in(found, "user_id")}
            union
            select device from seen group by device having bool_and({_is_in(found, "user_id")})
            union
            select id from ids where normal_id in ({_list(map(normal, found))})
            """
        ).fetchall()
        more = {one for (one,) in rows}
    others = db.execute(f"select distinct device from seen where not {_is_in(found, 'user_id')}").fetchall()
    return found - ({device for (device,) in others} - _ids(db, "is_user"))


def _contacts(
    db: duckdb.DuckDBPyConnection, files: list[RawFile], found: set[str]
) -> tuple[set[str], list[tuple[str, int]]]:
    """Addresses and numbers that the person has stated; and those of them that others have stated, too."""
    is_theirs = f"({_is_in(found, 'user_id')} or (user_id is null and {_is_in(found, 'anonymous_id')}))"
    stated = {
        one
        for query in raw_text(files)
        for (one,) in db.execute(
            f"select distinct unnest({_stated_sql()}) from ({query}) where coalesce({is_theirs}, false)"
        ).fetchall()
        if one
    }
    others: dict[str, set[str]] = {}
    if stated:
        prefilter = " or ".join(f"contains(lower(text), {literal(one.lower())})" for one in sorted(stated))
        for query in raw_text(files):
            for one, who in db.execute(
                f"""
                select distinct lower(unnest({_stated_sql()})) as stated, coalesce(user_id, anonymous_id)
                from ({query})
                where ({prefilter}) and not coalesce({is_theirs}, false)
                """
            ).fetchall():
                if normal(who or "") != one:  # an id that is the address itself is no other person
                    others.setdefault(one, set()).add(who or "")
    shared = [(one, len(others[one.lower()])) for one in sorted(stated) if one.lower() in others]
    return stated - {one for one, _ in shared}, shared


def _orders(db: duckdb.DuckDBPyConnection, files: list[RawFile], found: set[str]) -> Iterable[str]:
    is_theirs = f"{_is_in(found, 'user_id')} or (user_id is null and {_is_in(found, 'anonymous_id')})"
    for query in raw_text(files):
        for (order_id,) in db.execute(
            f"select distinct order_id from ({query}) where order_id is not null and ({is_theirs})"
        ).fetchall():
            yield order_id


def _stated_sql() -> str:
    """SQL over `raw_text`: the list of e-mail addresses and telephone numbers that a message states of its sender."""
    listed = ", ".join(
        f"nullif(trim(try(json_extract_string({place}, '{path}'))), '')"
        for place, prefix in (("traits", "$"), ("context", "$.traits"))
        for path in (f"{prefix}.email", f"{prefix}.phone")
    )
    return f"list_filter([{listed}], lambda stated: stated is not null)"


def _ids(db: duckdb.DuckDBPyConnection, condition: str) -> set[str]:
    return {one for (one,) in db.execute(f"select id from ids where {condition}").fetchall()}


def _is_in(found: Iterable[str], column: str = "id") -> str:
    return f"coalesce({column} in ({_list(found)}), false)"


def _list(values: Iterable[str]) -> str:
    return ", ".join(literal(value) for value in sorted(values)) or "null"
