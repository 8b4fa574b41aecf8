"""Forgetting a person: who is meant, what becomes of each message and file, and that nobody else's figures move."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hostile
from hostile import Message, as_line, parquet_table
from orchestration import datasets, erase, forgotten, persons, raw_files
from orchestration.erase import anonymous, verdict
from orchestration.errors import StrataError
from orchestration.forget import Plan, forget
from orchestration.id_key import id_key
from orchestration.persons import Person
from orchestration.refresh import clean
from orchestration.search import search
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.traces import Traces, is_unmistakable
from rehearsal import Rehearsal, differences

NOW = datetime(2025, 6, 3, 12, tzinfo=UTC)
JANE = "Jane.Doe+shop@Example.com"


def message(number: int, event: str = "Product Viewed", **more: Any) -> Message:
    """A track message of a day in May 2025."""
    return {
        "message_id": f"m{number}", "type": "track", "event": event,
        "timestamp": f"2025-05-{number % 28 + 1:02}T10:00:00Z",
        "received_at": f"2025-05-{number % 28 + 1:02}T10:00:05Z", **more,
    }  # fmt: skip


def identify(number: int, traits: dict[str, Any], **ids: str) -> Message:
    """A message that states traits."""
    return message(number, **ids) | {"type": "identify", "event": None, "traits": traits}


def alias(number: int, previous_id: str, user_id: str) -> Message:
    """A message that renames a user."""
    return message(number, previous_id=previous_id, user_id=user_id) | {"type": "alias", "event": None}


def raw_of(folder: Path, messages: list[Message]) -> list[raw_files.RawFile]:
    """The messages in three files of three formats, as the orchestration sees them."""
    events = folder / "events"
    events.mkdir(parents=True, exist_ok=True)
    pq.write_table(parquet_table(messages[::3], native=False), events / "a.parquet")
    (events / "b.jsonl").write_text("".join(as_line(one, camel=True) + "\n" for one in messages[1::3]))
    lines = "".join(as_line(one, camel=False) + "\n" for one in messages[2::3])
    (events / "c.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    settings = Settings.of("shop", str(folder), folder.parent)
    return raw_files.take_stock(settings, [], None, NOW)


# ---- who is meant

CAST = [
    identify(1, {"email": JANE.lower(), "phone": "+49 170 1234567"}, user_id="u-1", anonymous_id="phone"),
    message(2, user_id="u-1", anonymous_id="tablet"),
    message(3, user_id="u-2", anonymous_id="tablet"),
    alias(4, "u-0", "u-1"),
    alias(5, "u-1", "u-9"),
    identify(6, {"email": "bob@example.com", "phone": "+49 170 7654321"}, user_id="u-2"),
    identify(7, {"email": "eve@example.com", "phone": "+49 170 7654321"}, user_id="u-3"),
    message(8, "Order Completed", user_id=JANE, properties={"order_id": "guest-1", "revenue": 5}),
    message(9, "Order Completed", anonymous_id="phone", properties={"order_id": "o-1", "revenue": 5}),
    message(10, anonymous_id="lonely"),
]


@pytest.fixture
def cast(tmp_path: Path) -> Callable[[str], persons.Person | None]:
    """Finds a person among a few whose ties are all different."""
    files = raw_of(tmp_path / "raw", CAST)
    settings = Settings.of("shop", str(tmp_path / "raw"), tmp_path)
    return lambda customer: persons.find(settings, files, customer, "key")


@pytest.mark.parametrize("name", ["u-0", "u-1", "u-9", "phone", JANE, JANE.upper(), persons.public_id("key", JANE)])
def test_a_person_is_found_by_any_of_their_names(cast: Callable[[str], persons.Person], name: str) -> None:
    person = cast(name)
    assert person.users == (JANE, "u-0", "u-1", "u-9")
    assert person.devices == ("phone",)
    assert person.contacts == ("+49 170 1234567", JANE.lower())
    assert person.orders == {"guest-1", "o-1"}
    assert person.shared == (("tablet", 1),)
    assert person.shown == (persons.public_id("key", JANE),)


def test_what_others_have_stated_too_stays(cast: Callable[[str], persons.Person]) -> None:
    person = cast("u-2")
    assert (person.users, person.devices, person.contacts) == (("u-2",), (), ("bob@example.com",))
    assert person.shared == (("tablet", 1), ("+49 170 7654321", 1))


def test_a_visitor_is_found_and_nobody_is_invented(cast: Callable[[str], persons.Person | None]) -> None:
    assert cast("lonely") == persons.Person(users=(), devices=("lonely",))
    assert cast("lonel") is None
    assert cast("example.com") is None


def test_a_device_of_several_people_means_nobody(cast: Callable[[str], persons.Person]) -> None:
    with pytest.raises(StrataError, match=r"device that 2 people use: u-1, u-2"):
        cast("tablet")


# ---- traces


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("jane.doe+shop@example.com", True),
        ("mailto:JANE.DOE+SHOP@EXAMPLE.COM.", True),
        ("https://shop.example/?mail=jane.doe%2Bshop%40example.com&x=1", True),
        (r'{"note": "\njane.doe+shop@example.com"}', True),
        ("for%20jane.doe+shop@example.com", True),
        ("a.jane.doe+shop@example.com", False),
        ("jane.doe+shop@example.com.au", False),
        ("jane.doe+shop@example.community", False),
        ("web-12ab34cd", True),
        ("web-12ab34cd-b", False),
        ("Web-12ab34cd", False),
        ("42", False),
        ('{"quantity": 42}', False),
        ('{"userId": 42}', True),
        ('{"user_id":"42","x":1}', True),
        ('{"user_id":"421"}', False),
    ],
)
def test_a_trace_is_found_where_it_means_the_person(text: str, is_found: bool) -> None:
    traces = Traces(["42", "web-12ab34cd", JANE], ["web-12ab34cd", JANE])
    assert traces.is_in(text) is is_found
    [(may_be,)] = duckdb.execute(f"select {traces.may_be_in('$1')}", [text]).fetchall()
    assert may_be or not is_found, "what SQL passes over is never looked at"
    assert not traces.is_in(traces.taken_out(text))
    assert is_found or traces.taken_out(text) == text


@pytest.mark.parametrize(
    ("word", "expected"),
    [(JANE, True), ("+49 170 1234567", True), ("+49", False), ("C1-0000042", True), ("42", False),
     ("1234567890", False), ("sunshine", False), ("user-1", False)],
)  # fmt: skip
def test_only_what_can_mean_nothing_else_is_looked_for_in_texts(word: str, expected: bool) -> None:
    assert is_unmistakable(word) is expected


# ---- messages

TRACES = Traces(["u-1", "phone", JANE], [JANE])


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"user_id": "u-1", "anonymous_id": "tablet"}, "removed"),
        ({"user_id": JANE.upper()}, "removed"),
        ({"anonymous_id": "phone"}, "removed"),
        ({"user_id": "u-2", "anonymous_id": "phone"}, None),
        ({"user_id": "u-2", "previous_id": "u-1", "type": "alias"}, "removed"),
        ({"user_id": "u-1", "event": "Order Refunded"}, "made anonymous"),
        ({"user_id": "u-1", "event": "Order Refunded", "type": "page"}, "removed"),
        ({"anonymous_id": "tablet"}, None),
        ({"event": "Order Updated", "order_id": "o-1"}, "made anonymous"),
        ({"event": "Order Updated", "order_id": "o-2"}, None),
        ({"user_id": "u-2", "event": "Order Updated", "order_id": "o-1"}, None),
        ({"event": "Order Completed", "order_id": "o-2", "has_trace": True}, "made anonymous"),
        ({"has_trace": True}, "removed"),
        ({"user_id": "u-2", "has_trace": True}, "mention taken out"),
        ({"is_readable": False, "has_trace": True}, "removed"),
        ({"is_readable": False}, None),
    ],
)
def test_what_becomes_of_a_message(about: dict[str, Any], expected: str | None) -> None:
    found = erase.Message(**({"type": "track", "event": "Product Viewed"} | about))
    assert verdict(found, TRACES, frozenset({"o-1"})) == expected


ORDER = {
    "order_id": "o-1", "currency": "USD", "revenue": "9.90", "total": 12.10, "tax": 2.2, "coupon": f"for {JANE}",
    "shipping_address": {"street": "1 Main Street"}, "gift_note": "Dear Jane", "checkout_id": "c-1",
    "products": [{"product_id": "hat", "price": 9.90, "quantity": 1, "engraving": "Jane"}, None],
}  # fmt: skip
KEPT_ORDER = {
    "order_id": "o-1", "currency": "USD", "revenue": "9.90", "total": 12.10, "tax": 2.2, "coupon": "for forgotten",
    "products": [{"product_id": "hat", "price": 9.90, "quantity": 1}, None],
}  # fmt: skip


@pytest.mark.parametrize("form", ["object", "text", "products as text", "pairs"])
def test_an_order_keeps_what_the_books_need_and_nothing_else(form: str) -> None:
    properties: Any = dict(ORDER)
    if form == "products as text":
        properties["products"] = json.dumps(properties["products"])
    if form == "text":
        properties = json.dumps(properties)
    if form == "pairs":
        properties = list(properties.items())
    whole = message(1, "Order Completed", user_id="u-1", anonymous_id="phone", context={"ip": "10.0.0.1"},
                    traits={"email": JANE}, messageId="m1", email=JANE, properties=properties)  # fmt: skip
    kept = anonymous(whole, TRACES)
    assert kept.keys() == {"message_id", "messageId", "type", "event", "timestamp", "received_at", "properties"}
    found = kept["properties"]
    found = json.loads(found) if form == "text" else dict(found)
    if form == "products as text":
        found["products"] = json.loads(found["products"])
    assert found == KEPT_ORDER


def test_what_cannot_be_read_stays_unreadable() -> None:
    for properties, expected in (
        ("{cut off", "forgotten"),
        ({"products": "a hat for Jane"}, {"products": "forgotten"}),
        ({"products": {"product_id": "hat"}}, {"products": "forgotten"}),
        ('{"order_id": "o", "revenue": 1e999, "tax": NaN}', '{"order_id": "o", "revenue": 1e999, "tax": "NaN"}'),
        ('{"revenue": 4.00, "total": -0.50}', '{"revenue": 4.00, "total": -0.50}'),
    ):
        assert anonymous({"properties": properties}, TRACES)["properties"] == expected


# ---- files


def rewritten(path: Path, kind: str, traces: Traces = TRACES) -> tuple[Path, Counter[Any]]:
    """The file without the person, beside it."""
    file = raw_files.RawFile(path.name, kind, path=str(path))
    if kind == "parquet":
        with duckdb.connect() as db:
            file = raw_files.RawFile(path.name, kind, path=str(path), columns=raw_files.parquet_columns(db, file))
    target = path.with_name(f".{path.name}.forget")
    return target, erase.rewrite(file, traces, frozenset({"o-1"}), target)


def test_a_parquet_file_keeps_its_schema_its_row_groups_and_the_order_of_its_rows(tmp_path: Path) -> None:
    def nested(number: int, user_id: int | None, event: str, query: str) -> dict[str, Any]:
        properties = {"order_id": f"o-{number}", "revenue": 1.5, "gift_note": "Dear Jane", "query": query}
        return {"messageId": f"m{number}", "type": "track", "event": event, "userId": user_id, "anonymousId": "tablet",
                "timestamp": datetime(2025, 5, 1), "properties": properties, "tags": [("mail", query)]}  # fmt: skip

    schema = pa.schema([
        pa.field("messageId", pa.string(), nullable=False), pa.field("type", pa.string()),
        pa.field("event", pa.string()), pa.field("userId", pa.int64()),
        pa.field("anonymousId", pa.string(), nullable=False), pa.field("timestamp", pa.timestamp("us", tz="UTC")),
        pa.field("properties", pa.struct([(name, pa.string()) for name in ("order_id", "gift_note", "query")]
                                         + [("revenue", pa.float64())])),
        pa.field("tags", pa.map_(pa.string(), pa.string())),
    ], metadata={"made": "by hand"})  # fmt: skip
    rows = [
        nested(0, 7, "Product Viewed", "hat"), nested(1, 42, "Product Viewed", "hat"),
        nested(2, 42, "Order Completed", "hat"), nested(3, 7, "Products Searched", f"gift for {JANE}"),
        nested(4, None, "Product Viewed", "hat"), nested(5, 42, "Product Viewed", "hat"),
    ]  # fmt: skip
    path = tmp_path / "nested.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, row_group_size=2, compression="snappy")
    target, counts = rewritten(path, "parquet", Traces(["42", JANE], [JANE]))

    assert counts == {"removed": 2, "made anonymous": 1, "mention taken out": 1}
    assert pq.read_schema(target).equals(pq.read_schema(path), check_metadata=True)
    written = pq.ParquetFile(target)
    assert [written.metadata.row_group(n).num_rows for n in range(written.metadata.num_row_groups)] == [1, 2, 1]
    assert written.metadata.row_group(0).column(0).compression == "SNAPPY"
    found = written.read().to_pylist()
    assert [row["messageId"] for row in found] == ["m0", "m2", "m3", "m4"]
    assert found[1] | {"timestamp": None} == {
        "messageId": "m2", "type": "track", "event": "Order Completed", "userId": None, "anonymousId": "",
        "timestamp": None, "tags": None,
        "properties": {"order_id": "o-2", "revenue": 1.5, "gift_note": None, "query": None},
    }  # fmt: skip
    assert found[2]["properties"]["query"] == "gift for forgotten"
    assert found[2]["tags"] == [("mail", "gift for forgotten")]


def test_a_parquet_file_may_lose_all_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "hers.parquet"
    table = parquet_table([message(1, user_id="u-1")], native=True)
    pq.write_table(table, path)
    target, counts = rewritten(path, "parquet")
    assert counts == {"removed": 1}
    assert pq.read_table(target).num_rows == 0
    assert pq.read_schema(target).equals(table.schema)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_a_file_that_lost_all_its_lines_can_be_taken_in_anew(tmp_path: Path, suffix: str) -> None:
    raw_of(tmp_path, CAST)
    path = tmp_path / "events" / f"hers{suffix}"
    content = (as_line(message(1, user_id="u-1"), camel=True) + "\n").encode()
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    target, counts = rewritten(path, "json")
    assert counts == {"removed": 1}
    target.replace(path)
    files = raw_files.take_stock(Settings.of("shop", str(tmp_path), tmp_path.parent), [], None, NOW)
    assert path.name in {Path(file.file).name for file in files}


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_lines_of_others_stay_to_the_byte(tmp_path: Path, suffix: str) -> None:
    hers = ['{"userId":"u-1" , "type":"track"}', f'{{"cut off": "{JANE}', f'{{"email": "{JANE}"}}']
    others = ['{"userId" : "u-2",  "x": "\\u00e9é"}', "", "not json", '{"anonymousId": "tablet"}\r']
    mention = f'{{"userId" : "u-2",  "x": "{JANE}"}}'
    lines = [hers[0], others[0], hers[1], *others[1:], hers[2], mention]
    content = "\n".join(lines).encode() + b"\n\xff\xfe broken text"
    path = tmp_path / f"events{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    target, counts = rewritten(path, "json")
    found = gzip.decompress(target.read_bytes()) if suffix.endswith("gz") else target.read_bytes()
    expected = [*others, mention.replace(JANE, "forgotten")]
    assert found == "\n".join(expected).encode() + b"\n\xff\xfe broken text"
    assert counts == {"removed": 3, "mention taken out": 1}


# ---- imports


EXPORT = """\
customer,email,date,order number,amount,refund
u-1,jane@example.com,2024-05-01,1001,10.00,
u-2,bob@example.com,2024-05-02,1002,20.00,
"""


def test_the_next_export_of_a_source_brings_nobody_back(tmp_path: Path) -> None:
    source = tmp_path / "orders.csv"
    settings = Settings.of("orders_csv", home=tmp_path)

    def export(text: str, day: int) -> datasets.Prepared:
        source.write_text(text)
        return datasets.prepare(
            settings, source=str(source), size=None, until=None, now=datetime(2024, 6, day, 12, tzinfo=UTC)
        )

    def messages() -> list[tuple[Any, ...]]:
        files = [str(path) for path in (tmp_path / "raw").rglob("events/*/*.parquet")]
        return duckdb.execute(
            "select event, user_id, properties ->> '$.order_id', properties ->> '$.total', traits "
            "from read_parquet(?) order by all",
            [files],
        ).fetchall()

    export(EXPORT, 1)
    files = raw_files.take_stock(settings, [], None, NOW)
    person = persons.find(settings, files, "jane@example.com", id_key(settings))
    assert person is not None and person.users == ("u-1",)
    forgotten.add_to_list(settings, id_key(settings), person.ids, date(2024, 6, 1))
    for file in files:
        target, _ = rewritten(Path(file.path), "parquet", person.traces)
        target.replace(file.path)
    of_bob = [row for row in messages() if row[1] == "u-2"]
    assert [row[:3] for row in messages() if row[1] is None] == [("Order Completed", None, "1001")]

    # The order is refunded, and bought again by the same customer: money comes, the person doesn't.
    prepared = export(EXPORT.replace("10.00,", "10.00,4.00") + "u-1,jane@example.com,2024-05-03,1003,7.00,\n", 2)
    assert prepared.kept_out == {"removed": 1, "made anonymous": 2}
    assert [row for row in messages() if row[1] == "u-2"] == of_bob
    assert [row[:4] for row in messages() if row[1] is None] == [
        ("Order Completed", None, "1001", None),
        ("Order Completed", None, "1003", None),
        ("Order Refunded", None, "1001", "4.0"),
    ]
    # Nor from the beginning: the list stays when everything else is removed.
    clean(settings)
    assert sorted(path.name for path in settings.manifest.iterdir()) == ["forgotten.jsonl", "id_key.jsonl"]
    export(EXPORT, 3)
    assert [row[:3] for row in messages() if row[1] != "u-2"] == [("Order Completed", None, "1001")]
    assert not any(JANE.split("+")[0].lower() in str(row).lower() or "jane@" in str(row) for row in messages())


# ---- refusals


@pytest.mark.parametrize(
    ("raw", "customer", "reason"),
    [("s3://bucket/events", "u-1", "is a URL"), (None, "u-77", "No message .* names CUSTOMER=u-77"),
     (None, None, "Say who"), (None, "tablet", "2 people use"), (None, "u-1", "Nothing was changed")],
)  # fmt: skip
def test_what_is_refused_touches_nothing(tmp_path: Path, raw: str | None, customer: str | None, reason: str) -> None:
    raw_of(tmp_path / "raw", CAST)
    before = {path: path.read_bytes() for path in (tmp_path / "raw").rglob("*") if path.is_file()}
    settings = Settings.of("shop", raw or str(tmp_path / "raw"), tmp_path)
    with pytest.raises(StrataError, match=reason):
        forget(settings, customer, confirm=lambda plan: False, now=NOW)
    assert {path: path.read_bytes() for path in (tmp_path / "raw").rglob("*") if path.is_file()} == before
    assert not forgotten.list_path(settings).exists()
    assert not forgotten.note_path(settings).exists()


def test_a_trace_that_remains_is_named_and_keeps_the_forgetting_open(tmp_path: Path) -> None:
    raw_of(tmp_path / "raw", CAST)
    settings = Settings.of("shop", str(tmp_path / "raw"), tmp_path)
    products = tmp_path / "raw" / "products.csv"
    products.write_text(f"product_id,product_name\nhat,Hat for {JANE}\n")
    with pytest.raises(StrataError, match=r"Traces remain:\n  raw products.csv: 1"):
        forget(settings, "u-1", confirm=lambda plan: True, now=NOW)
    assert forgotten.note_path(settings).stat().st_mode & 0o777 == 0o600
    products.write_text("product_id,product_name\nhat,Hat\n")
    assert not any(place.hits for place in forget(settings, None, confirm=lambda plan: True, now=NOW))
    assert not forgotten.note_path(settings).exists()
    # Once forgotten, the same name only searches again.
    assert not any(place.hits for place in forget(settings, "u-9", confirm=lambda plan: False, now=NOW))


# ---- all the way


@pytest.fixture
def new_york(business: Callable[..., None]) -> None:
    """A business day that isn't the UTC day."""
    business(business_timezone=hostile.TIMEZONE)


#: Added to the shop: earlier names, a device of her own, a shared one, an order without a name, a mention, a fault.
OF_JANE = [
    alias(1, "jane-was-1", JANE),
    alias(2, "jane-was-2", "jane-was-1"),
    message(3, user_id="jane-was-2", anonymous_id="jane-laptop", properties={"product_id": "p1"}),
    message(4, anonymous_id="jane-laptop", properties={"product_id": "p2"}),
    message(5, user_id=JANE, anonymous_id="shared-0", properties={"product_id": "p3"}),
    message(6, "Order Completed", anonymous_id="jane-laptop", context={"campaign": {"name": "spring"}},
            properties={"order_id": "j1", "revenue": 12.30, "gift_note": "Dear Jane", "products": "a hat"}),
    message(7, "Order Completed", user_id=JANE, properties={"order_id": "j2", "revenue": 45.60, "email": JANE}),
    message(8, "Order Updated", properties={"order_id": "j2", "revenue": 40.50, "gift_note": "Dear Jane"}),
    message(9, "Products Searched", user_id="user-20", properties={"query": f"gift for {JANE}"}),
    message(10, user_id=JANE) | {"timestamp": "yesterday"},
]  # fmt: skip


def with_jane(plan: hostile.Plan) -> hostile.Plan:
    """The shop with a customer whose id is an e-mail address, in files of every format."""
    first = [file for file in plan.files if file.delivered_at < datetime(2025, 3, 1)]
    for file in plan.files:
        file.messages = [
            {key: JANE if value == "user-3" else value for key, value in one.items()} for one in file.messages
        ]
        for one in file.messages:
            products = one["properties"].get("products") if one.get("user_id") == JANE and is_order(one) else None
            for product in products if isinstance(products, list) else []:
                product["engraving"] = f"for {JANE}"
    for number, one in enumerate(OF_JANE):
        moved = {name: one[name].replace("2025-05", "2025-02") for name in ("timestamp", "received_at")}
        readable = [file for file in first if "native" not in file.name or one["timestamp"] != "yesterday"]
        readable[number % len(readable)].messages.append(one | moved | {"message_id": f"jane-{number}"})
    next(file for file in first if "jsonl" in file.name).lines.append(f'{{"userId": "{JANE}", "type": "track" "')
    return plan


def without(plan: hostile.Plan, ids: set[str]) -> hostile.Plan:
    """The shop in which the person never did anything but order, without saying who."""
    orders = {
        one["properties"].get("order_id")
        for file in plan.files
        for one in file.messages
        if is_order(one) and is_of(one, ids)
    }
    files = []
    for file in plan.files:
        kept = []
        for one in file.messages:
            names_nobody = not (one.get("user_id") or "").strip() and not (one.get("anonymous_id") or "").strip()
            if is_order(one) and (is_of(one, ids) or (names_nobody and one["properties"].get("order_id") in orders)):
                kept.append(nameless(one))
            elif not is_of(one, ids):
                kept.append(json.loads(json.dumps(one).replace(JANE, "forgotten")))
        files.append(
            hostile.RawFile(file.name, file.delivered_at, kept, [line for line in file.lines if JANE not in line])
        )
    return hostile.Plan(files, plan.rates)


def is_order(one: Message) -> bool:
    return one.get("type") == "track" and (one.get("event") or "").startswith("Order ")


def is_of(one: Message, ids: set[str]) -> bool:
    return (one.get("user_id") or one.get("anonymous_id")) in ids or one.get("previous_id") in ids


#: What an order tells of its customer, and the books don't need.
NOT_THE_BOOKS = {"gift_note", "email", "shipping_method", "use_case", "requested_delivery"}


def nameless(one: Message) -> Message:
    """An order message in which nothing but the order is told."""
    told = {key: value for key, value in one["properties"].items() if key not in NOT_THE_BOOKS}
    listed = told.get("products")
    if isinstance(listed, list):
        told["products"] = [item if isinstance(item, dict) else None for item in listed]
    elif listed is not None and not (isinstance(listed, str) and listed.startswith("[")):
        told["products"] = "forgotten"
    kept = ("message_id", "type", "event", "timestamp", "received_at")
    return {key: one.get(key) for key in kept} | {"properties": told}


def days_of(file: dict[str, Any]) -> list[Any]:
    """What the manifest knows of a file's days."""
    return [file[name] for name in ("first_seen_at", "open_date", "first_posted_at", "last_posted_at")]


def texts_of(database: Path) -> Iterator[str]:
    """Everything in a DuckDB file, row by row, as text."""
    with duckdb.connect(str(database), read_only=True) as db:
        for schema, table in db.execute("select schema_name, table_name from duckdb_tables()").fetchall():
            for row in db.execute(f'from "{schema}"."{table}"').fetchall():
                yield f"{schema}.{table}: {row}"


def texts_of_raw(raw: Path) -> Iterator[str]:
    """Everything in the raw files, as text."""
    for path in (raw / "events").rglob("*"):
        if path.suffix == ".parquet":
            yield from map(str, pq.read_table(path, partitioning=None).to_pylist())
        elif path.is_file():
            content = path.read_bytes()
            yield (gzip.decompress(content) if path.suffix == ".gz" else content).decode()


def test_the_search_looks_into_every_part_of_a_publication(tmp_path: Path) -> None:
    settings, known = Settings.of("shop", home=tmp_path), "jane-the-customer-4711"
    run = settings.published / "runs" / "one"
    marts = run / "parquet" / "marts"
    marts.mkdir(parents=True)
    pq.write_table(pa.table({"customer_id": [known, "someone-else"], "orders": [1, 2]}), marts / "customers.parquet")
    (run / "atlas.html").write_text(f"<td>{known}</td>")
    (settings.published / "docs.html").write_text(f"<td>{known}</td>")
    (settings.published / "atlas.html").symlink_to("runs/one/atlas.html")
    places = search(settings, [], Person(users=(known,)).traces)
    assert {place.group: place.hits for place in places} == {"one/parquet": 1, "one/atlas.html": 1, "docs.html": 1}


#: What only counts messages as they came differs: those of the forgotten that came again are counted as rejected.
COUNTS_OF_MESSAGES = (
    "staging.stg_messages", "intermediate.int_message_ledger", "intermediate.int_arrived_messages",
    "quality.message_ledger", "quality.rejected_messages",
    "quality.checks: 1 rows",  # the share of rejected messages
    # The text of products, with fewer keys; its lines, and all that comes of them, are compared.
    "staging.stg_order_messages",
)  # fmt: skip

KILLED = """
import os, sys
from datetime import datetime
from pathlib import Path
from orchestration import forget
from orchestration.settings import Settings
dataset, raw, home, customer, now = sys.argv[1:]
forget._update_manifest = lambda settings, note: os._exit(9)
forget.forget(Settings.of(dataset, raw, Path(home)), customer, confirm=lambda plan: True, own_raw=True,
              now=datetime.fromisoformat(now))
"""


@pytest.mark.usefixtures("new_york")
def test_everybody_elses_figures_are_those_of_a_shop_that_never_knew_the_person(home: Path) -> None:
    plan = with_jane(hostile.draw_plan(seed=11, people=40, messages_per_day=25))
    books = Rehearsal(home, "remembering")
    for now in (datetime(2025, 3, 10, 15), datetime(2025, 3, 21, 3)):
        plan.deliver(books.raw, now)
        books.refresh(now)
    published = set(books.settings.published.glob("runs/*/strata.duckdb"))
    revenue = books.query("select sum(net_revenue), count(*) from marts.orders")
    days = {name: days_of(file) for name, file in books.manifest().items()}
    for text in (text for path in published for text in texts_of(path)):
        assert "@" not in text, "ids that are addresses are hashed in the marts"

    # Who it is, by the marts: all users that end at the same customer, and the devices that only they were seen on.
    aliases = "intermediate.int_alias_snapshots where snapshot_date = (select max(calendar_date) from marts.calendar)"
    [(root,)] = books.query(f"select coalesce(max(customer_id), '{JANE}') from {aliases} and previous_id = '{JANE}'")
    users = {root, *(one for (one,) in books.query(f"select previous_id from {aliases} and customer_id = '{root}'"))}
    assert users >= {JANE, "jane-was-1", "jane-was-2"}
    came = [one for file in plan.files if file.delivered_at <= now for one in file.messages]
    seen: dict[str, set[str]] = {}
    for one in came:
        if one.get("user_id") and (one.get("anonymous_id") or "").strip():
            seen.setdefault(one["anonymous_id"], set()).add(one["user_id"])
    ids = users | {device for device, known in seen.items() if known <= users}
    shared = {device for device, known in seen.items() if known & users} - ids
    assert "jane-laptop" in ids and "shared-0" in shared

    # Killed after the raw files were replaced, before the manifest knows of it.
    now = datetime(2025, 3, 21, 4)
    arguments = [books.settings.dataset, str(books.raw), str(home), JANE, now.replace(tzinfo=UTC).isoformat()]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=PROJECT_DIR, check=False)
    assert killed.returncode == 9
    with pytest.raises(StrataError, match="was interrupted"):
        books.refresh(now)
    plans: list[Plan] = []
    places = forget(
        books.settings, JANE, confirm=lambda plan: bool(plans.append(plan)), own_raw=True,
        now=now.replace(tzinfo=UTC), progress=False,
    )  # fmt: skip
    assert plans == [], "who was confirmed is not asked for again"
    assert {place.kind for place in places} == {"raw", "manifest", "warehouse", "publication"}
    [publication] = books.settings.published.glob("runs/*/strata.duckdb")
    assert publication not in published
    run_id, parts = publication.parent.name, {"strata.duckdb", "parquet", "atlas.html"}
    assert {path.name for path in publication.parent.iterdir()} == parts
    assert {path.name for path in books.settings.published.iterdir()} == {"runs", *parts}
    assert {f"{run_id}/{part}" for part in parts} <= {place.group for place in places}
    for text in (*texts_of(books.settings.warehouse), *texts_of(publication), *texts_of_raw(books.raw)):
        assert JANE.lower() not in text.lower()
    assert {name: days_of(file) for name, file in books.manifest().items()} == days
    assert any(file["open_date"] for file in books.manifest().values())
    assert books.query("select sum(net_revenue), count(*) from marts.orders") == revenue
    listed = ", ".join(f"'{one}'" for one in ids)
    assert books.query(f"select count(*) from intermediate.int_actors where actor_id in ({listed})") == [(0,)]

    # They come back, and with them everybody else.
    now = datetime(2025, 4, 8, 3)
    plan.deliver(books.raw, now)
    books.refresh(now)
    assert any(JANE in text for text in texts_of_raw(books.raw)), "nobody came back, so the test shows nothing"
    for text in (*texts_of(books.settings.warehouse), *texts_of(books.settings.published / "strata.duckdb")):
        assert JANE.lower() not in text.lower()
    [(rejected, kept)] = books.query("""
        select count(*), count(coalesce(rejected_message, message_id, user_id, anonymous_id, properties, traits))
        from staging.stg_messages where reject_reason = 'forgotten'
    """)  # fmt: skip
    assert rejected > 10 and kept == 0

    expected = home / "raw" / "never_knew"
    without(plan, ids).deliver(expected, now)
    never_knew = books.rebuilt("never_knew", now, raw=expected)
    assert [found for found in differences(books, never_knew) if not found.startswith(COUNTS_OF_MESSAGES)] == []


def test_an_id_that_is_written_around_an_address_is_whose_address_it_is(tmp_path: Path) -> None:
    ids = ("jane@x.de", "Jane Doe <jane@x.de>", "mailto:JANE@x.de", "mary-jane@x.de", "jane@x.de.example", "bob")
    raw_of(tmp_path, [message(number, user_id=one) for number, one in enumerate(ids)])
    settings = Settings.of("shop", str(tmp_path), tmp_path / "home")
    person = persons.find(settings, raw_files.take_stock(settings, [], None, NOW), "jane@x.de", id_key(settings))
    assert person is not None and person.users == ("Jane Doe <jane@x.de>", "jane@x.de", "mailto:JANE@x.de")


def test_what_is_kept_of_an_order_is_the_same_in_files_and_in_staging() -> None:
    macros = (PROJECT_DIR / "macros" / "forgotten.sql").read_text()
    for macro, kept in (
        ("anonymous_order_properties", erase.KEPT_PROPERTIES), ("anonymous_product_properties", erase.KEPT_OF_A_PRODUCT)
    ):  # fmt: skip
        [listed] = re.findall(rf"macro {macro}\(\) -%}}.*?\[(.*?)\]", macros, re.DOTALL)
        assert set(re.findall(r"'(\w+)'", listed)) == kept


def test_a_key_is_made_once_for_its_owner_and_never_in_place_of_a_broken_one(tmp_path: Path) -> None:
    settings = Settings.of("shop", home=tmp_path)
    key = id_key(settings)
    assert len(key) == 32 and id_key(settings) == key
    path = settings.manifest / "id_key.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    for broken in ("", "{}\n", '{"id_key": ""}\n', "half a li"):
        path.write_text(broken)
        with pytest.raises(StrataError, match="holds no key of hashed ids"):
            id_key(settings)


def test_the_command_asks_before_it_forgets(tmp_path: Path) -> None:
    raw_of(tmp_path / "raw" / "shop", CAST)
    command = [sys.executable, "-m", "orchestration", "forget", "--dataset", "shop", "--customer", "u-1"]
    environment = {"STRATA_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *more], cwd=PROJECT_DIR, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    asked = run()
    assert asked.returncode == 1 and "YES=1" in asked.stderr
    assert "u-0, u-1, u-9" in asked.stdout and "tablet: 1 other has it, too" in asked.stdout
    done = run("--yes")
    assert done.returncode == 0, done.stderr
    assert "3      0" in " ".join(done.stdout.split("messages")[1].split("\n")[0].rsplit(None, 2)) or "0" in done.stdout
