"""Small raw data with all the dirt at once: what the books must survive without ever telling two stories.

A plan is drawn from a seed: messages of a shop in New York around the clock change of March 2025, and the files that
bring them, some of them late. books_oracle.py says what should become of it.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

TIMEZONE = "America/New_York"  # clocks go forward on 9 March 2025
FIRST_DAY = date(2025, 2, 20)
LAST_DAY = date(2025, 4, 4)
PRODUCTS_CHANGE = datetime(2025, 3, 15)

Message = dict[str, Any]
#: The contract's columns, and the names that the Segment spec has for them.
CAMEL = {
    "message_id": "messageId", "anonymous_id": "anonymousId", "user_id": "userId", "previous_id": "previousId",
    "group_id": "groupId", "received_at": "receivedAt",
}  # fmt: skip
COLUMNS = (
    "message_id", "type", "event", "anonymous_id", "user_id", "previous_id", "group_id", "timestamp", "received_at",
    "properties", "traits", "context",
)  # fmt: skip
JSON_COLUMNS = ("properties", "traits", "context")
BROWSING = (
    "Product Viewed", "Product Added", "Products Searched", "Checkout Started", "Cart Viewed", "Product List Viewed",
    "Product Clicked", "Promotion Viewed", "Product Added to Wishlist",
)  # fmt: skip
MAILINGS = (
    "Email Delivered", "Email Opened", "Email Link Clicked", "Email Bounced", "Email Marked as Spam",
    "Push Notification Received", "Push Notification Tapped",
)  # fmt: skip
PLACES = """country,region,city,postal_code,urbanicity,climate_zone,terrain
Germany,Berlin,Berlin,10115,urban,temperate,plain
DE,Berlin,Berlin,12555,suburban,temperate,
US,Maine,Portland,04101,urban,continental,coast
US,Oregon,Portland,97201,rural,oceanic,hills
"""
#: When somebody corrects it (UTC).
CORRECTED_AT = datetime(2025, 3, 15)
STORES = "store_id,name,format\ns1,Mitte,mall\ns2,Old Port,freestanding\ns3,Attic,\n"
CATEGORIES = ("shoes", "hats", "Belts", "", None)


@dataclass
class RawFile:
    """A file to come: its name, when it is delivered (UTC), its messages, or lines that are no messages."""

    name: str
    delivered_at: datetime
    messages: list[Message] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def write(self, folder: Path, shuffle: random.Random | None = None) -> Path:
        """Write the file below `folder` in the format that its name says, its rows in another order if asked."""
        path = folder / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        messages, lines = list(self.messages), list(self.lines)
        if shuffle:
            shuffle.shuffle(messages)
            shuffle.shuffle(lines)
        if self.name.endswith(".parquet"):
            pq.write_table(parquet_table(messages, native="native" in self.name), path)
            return path
        texts = [as_line(message, camel="camel" in self.name) for message in messages] + lines
        if shuffle:
            shuffle.shuffle(texts)
        content = "".join(text + "\n" for text in texts).encode()
        path.write_bytes(gzip.compress(content, mtime=0) if self.name.endswith(".gz") else content)
        return path


def as_line(message: Message, *, camel: bool) -> str:
    """A message as one JSON line, under the spec's names or the contract's."""
    named = {(CAMEL.get(key, key) if camel else key): value for key, value in message.items() if value is not None}
    return json.dumps(named)


def parquet_table(messages: Iterable[Message], *, native: bool) -> pa.Table:
    """Messages as the contract's columns: JSON as text, instants as text or (`native`) as timestamps."""
    rows = [
        {
            column: json.dumps(message[column])
            if column in JSON_COLUMNS and message.get(column) is not None
            else message.get(column)
            for column in COLUMNS
        }
        for message in messages
    ]
    table = pa.Table.from_pylist(rows, schema=pa.schema([(column, pa.string()) for column in COLUMNS]))
    if native:
        for column, kind in (("timestamp", pa.timestamp("us", tz="UTC")), ("received_at", pa.timestamp("us"))):
            instants = [
                datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None) if value else None
                for value in table.column(column).to_pylist()
            ]
            index = table.schema.get_field_index(column)
            table = table.set_column(index, column, pa.array(instants, type=kind))
    return table


@dataclass
class Plan:
    """A shop's raw data: the files in the order of their delivery, and the reference tables beside them."""

    files: list[RawFile]
    rates: list[tuple[str, date, str, datetime]]  # currency, rate_date, rate, delivered_at (UTC)

    def deliver(self, raw: Path, until: datetime, shuffle: random.Random | None = None) -> None:
        """Put what has been delivered by `until` into `raw`; what lies there already stays untouched."""
        for file in self.files:
            if file.delivered_at <= until and not (raw / "events" / file.name).exists():
                file.write(raw / "events", shuffle)
        rates = [rate for rate in self.rates if rate[3] <= until]
        raw.mkdir(parents=True, exist_ok=True)
        if rates:
            rows = [f"{currency},{day},{rate}\n" for currency, day, rate, _ in rates]
            (raw / "exchange_rates.csv").write_text("currency,rate_date,rate_to_reporting\n" + "".join(rows))
        places = PLACES if until < CORRECTED_AT else PLACES.replace("rural", "urban")
        for name, content in (("places", places), ("stores", STORES)):
            (raw / f"{name}.csv").write_text(content)
        # The shop changes its mind about its products, once.
        categories = {"p1": "shoes", "p2": "hats"} if until < PRODUCTS_CHANGE else {"p1": "hats", "p3": "belts"}
        rows = [f"{product},{category},Good\n" for product, category in categories.items()]
        (raw / "products.csv").write_text("product_id,category,brand\n" + "".join(rows))


def draw_plan(seed: int, people: int = 90, messages_per_day: int = 60) -> Plan:
    """A plan that depends on nothing but its arguments."""
    return _Shop(random.Random(seed), people, messages_per_day).open()


class _Shop:
    """Draws messages day by day. Instants are naive UTC until they are written down."""

    def __init__(self, chance: random.Random, people: int, messages_per_day: int) -> None:
        self.chance = chance
        self.users = [f"user-{number}" for number in range(people)]
        self.messages_per_day = messages_per_day
        self.number = 0
        self.orders: dict[str, dict[str, Any]] = {}
        self.sent: list[Message] = []

    def open(self) -> Plan:
        """All days, then the files."""
        files: list[RawFile] = []
        day = FIRST_DAY
        while day <= LAST_DAY:
            files += self.files_of(day)
            day += timedelta(days=1)
        rates = [("EUR", FIRST_DAY - timedelta(days=130), "1.0850", datetime(2025, 2, 20))]
        for number in range(5):
            rate_date = FIRST_DAY + timedelta(days=9 * number)
            late = timedelta(days=self.chance.choice([0, 0, 4]))
            delivered_at = datetime.combine(rate_date, datetime.min.time()) + late
            rates.append(("EUR", rate_date, f"{1.05 + 0.0137 * number:.4f}", delivered_at))
        return Plan(sorted(files, key=lambda file: (file.delivered_at, file.name)), rates)

    # ---- files

    def files_of(self, day: date) -> list[RawFile]:
        """The files of a received day (of the business). Some hold the rest of the day only days later."""
        midnight = (
            datetime.combine(day, datetime.min.time(), tzinfo=ZoneInfo(TIMEZONE)).astimezone(UTC).replace(tzinfo=None)
        )
        messages = [message for _ in range(self.messages_per_day) for message in self.draw(midnight)]
        kinds = ["plain.jsonl", "camel.jsonl", "camel.jsonl.gz", "text.parquet", "native.parquet"]
        self.chance.shuffle(kinds)
        files = []
        for kind in kinds[: self.chance.choice([1, 2, 2, 3])]:
            delay = timedelta(days=self.chance.choice([0, 0, 0, 0, 1, 2, 5, 12]), hours=self.chance.randint(25, 30))
            files.append(RawFile(f"received_date={day}/{kind}", midnight + delay))
        for message in messages:
            self.chance.choice(files).messages.append(message)
        for file in files:
            if "jsonl" in file.name:
                file.lines += self.chance.sample(BAD_LINES, k=self.chance.choice([0, 0, 1, 2]))
            if "native" in file.name:  # its instants are typed: nothing unreadable can be in them
                file.messages = [message for message in file.messages if readable(message)]
        return files

    # ---- messages

    def draw(self, midnight: datetime) -> list[Message]:
        """One thing that happens on the day that begins at `midnight` (UTC), as the messages that tell it."""
        # Many just around the turn of the business day and of the UTC day.
        seconds = self.chance.choice(
            [self.chance.randint(0, 86399), self.chance.randint(0, 900), self.chance.randint(85500, 86399)]
        )
        received = midnight + timedelta(seconds=seconds, milliseconds=self.chance.randint(0, 999))
        kind = self.chance.choices(
            [self.browse, self.mail, self.identify, self.order, self.change, self.refund, self.repeat, self.alias,
             self.reject, self.server_side, self.tell],
            weights=[26, 8, 12, 14, 10, 10, 10, 4, 6, 4, 5],
        )[0]  # fmt: skip
        made = kind(received)
        self.sent += made
        return made

    def message(self, received: datetime, kind: str, **more: Any) -> Message:
        """A message with the usual lateness, skew and gaps."""
        self.number += 1
        late = self.chance.choices(
            [timedelta(seconds=self.chance.randint(0, 20)), timedelta(hours=self.chance.randint(1, 30)),
             timedelta(days=self.chance.randint(2, 120)), timedelta(seconds=-self.chance.randint(1, 80000))],
            weights=[80, 8, 7, 5],
        )[0]  # fmt: skip
        # Nothing says when it was received: then it was when it happened.
        is_blank = self.chance.random() < 0.05
        return {
            "message_id": f"m{self.number}",
            "type": kind,
            "timestamp": iso(received if is_blank else received - late),
            "received_at": None if is_blank else iso(received),
            **more,
        }

    def person(self) -> dict[str, str]:
        """Who a browser shows: a device, mostly somebody's, sometimes shared, sometimes with its user."""
        number = self.chance.randrange(len(self.users))
        device = self.chance.choice(
            [f"device-{number}", f"device-{number}-b", f"shared-{number % 4}", f"visitor-{number}"]
        )
        is_named = self.chance.random() < 0.35 and not device.startswith("visitor")
        return {"anonymous_id": device} | ({"user_id": self.users[number]} if is_named else {})

    def user(self) -> str:
        """A customer; a few of them buy most."""
        return self.users[int(len(self.users) * self.chance.random() ** 2)]

    def browse(self, received: datetime) -> list[Message]:
        context = {"campaign": {"source": self.chance.choice(["mail", "search", ""]), "name": "spring"}}
        found = []
        person = self.person()
        for step in range(self.chance.choice([1, 1, 2, 4])):
            moment = received + timedelta(minutes=self.chance.choice([1, 29, 30, 31]) * step)
            if self.chance.random() < 0.3:
                found.append(self.message(moment, "page", **person, properties={"path": "/"}, context=context))
            else:
                found.append(self.message(
                    moment, "track", event=self.chance.choice(BROWSING), **person, context=context,
                    properties={
                        "product_id": f"p{self.chance.randint(1, 8)}", "query": "shoes",
                        "category": self.chance.choice(CATEGORIES),
                    },
                ))  # fmt: skip
        return found

    def mail(self, received: datetime) -> list[Message]:
        event = self.chance.choice([*MAILINGS[:3], *MAILINGS, "Unsubscribed", "Subscribed"])
        properties = {"email_id": "e1", "campaign_id": "c1", "list_id": "all"}
        context = self.chance.choice([{}, {"userAgent": "Mozilla/5.0"}, {"userAgent": "Mozilla/5.0 (X11)"}])
        return [
            self.message(received, "track", event=event, user_id=self.user(), properties=properties, context=context)
        ]

    def tell(self, received: datetime) -> list[Message]:
        """What a subscription or a survey tells."""
        event, properties = self.chance.choice([
            ("Subscription Started", {"plan": "tea", "billing_period": self.chance.choice(["monthly", "annual"])}),
            ("Subscription Started", {"plan": "coffee"}),
            ("Subscription Cancelled", {"plan": self.chance.choice(["tea", "coffee"])}),
            ("Survey Answered", {"question": "nps", "score": self.chance.choice([0, 6, 7, 9, 11, "ten"])}),
            ("Survey Answered", {"question": self.chance.choice(["lifestyle", "why"]), "answer": "because"}),
        ])  # fmt: skip
        return [self.message(received, "track", event=event, user_id=self.user(), properties=properties)]

    def identify(self, received: datetime) -> list[Message]:
        traits: dict[str, Any] = self.chance.choice([
            {"address": {"country": self.chance.choice(["US", "Germany", "nowhere"]), "city": "Berlin"}},
            {"address": {"city": "Portland", "state": "Oregon", "country": "US"}, "lifestyle": "nester"},
            {"address": {"postalCode": self.chance.choice(["10115", "1"])}, "lifestyle": "athlete", "religion": "none"},
            {"income": self.chance.choice([45000, "35-49K", "45.000"]), "children": self.chance.choice([0, "3+"]),
             "maritalStatus": self.chance.choice(["Married", "widow", "?"]), "employmentStatus": "Retired"},
            {"interests": self.chance.choice([["b", "a", "b"], "a", [], [None], "[", {"a": 1}]), "values": ["quality"]},
            {"birthday": self.chance.choice(["1990-03-09", "2001-02-29", "1978-12-31"]), "gender": "F"},
            {"age": self.chance.choice(["35-44", 31, "nan", 1e300])},
            {"emailConsent": self.chance.choice([True, False, "maybe"])},
            {"company": {"name": "ACME", "industry": "retail", "employees": self.chance.choice([12, "1200", "many"])}},
            {"company": {"id": "g1", "plan": self.chance.choice(["tea", "team"])}},
            {},
        ])  # fmt: skip
        person = self.person() | ({"user_id": self.user()} if self.chance.random() < 0.6 else {})
        if self.chance.random() < 0.1:
            company = self.chance.choice(
                [{"industry": "steel", "employees": 7, "address": {"city": "Essen"}}, {"plan": "team"}, None]
            )
            group_id = self.chance.choice(["g1", "g2"])
            return [self.message(received, "group", **person, group_id=group_id, traits=company)]
        return [self.message(received, "identify", **person, traits=traits)]

    def server_side(self, received: datetime) -> list[Message]:
        return [
            self.message(
                received, "track", event="Product Viewed", user_id=self.user(), properties={"product_id": "p1"}
            )
        ]

    def alias(self, received: datetime) -> list[Message]:
        chain = [f"user-{number}" for number in range(6)]  # 0 -> 1 -> ... -> 5
        circle = ["user-10", "user-11", "user-12"]
        ids = self.chance.choice(
            [chain, chain, [*circle, circle[0]], ["visitor-20", "user-20"], ["user-30", "user-31"]]
        )
        step = self.chance.randrange(len(ids) - 1)
        target = ids[step + 1] if self.chance.random() < 0.9 else self.user()
        return [self.message(received, "alias", previous_id=ids[step], user_id=target)]

    def place(self) -> dict[str, str]:
        """Where an order is bought."""
        store = self.chance.choice(["", "", "s1", "s2", "s3", "s4"])
        return {"channel": "in_store", "store_id": store} if store else {"channel": "online"}

    def products(self) -> list[dict[str, Any]]:
        return [
            {
                "product_id": f"p{self.chance.randint(1, 8)}", "name": "Shoe",
                "category": self.chance.choice(CATEGORIES), "brand": self.chance.choice(["Good", "Fine", "", None]),
                "price": self.chance.choice([9.99, "20.00", 33.33, 0, None, 100]),
                "quantity": self.chance.choice([1, 1, 2, "3"]),
            }
            for _ in range(self.chance.choice([1, 1, 2, 3]))
        ]  # fmt: skip

    def amounts(self) -> dict[str, Any]:
        """An order's money in the ways in which senders state it."""
        cents = self.chance.choice([10000, self.chance.randint(100, 60000)])
        subtotal, tax, shipping, discount = cents / 100, 8, 4.95, self.chance.choice([0, 0, 5])
        total = round(subtotal + tax + shipping, 2)
        return self.chance.choice([
            {"subtotal": subtotal, "total": total, "tax": tax, "shipping": shipping, "discount": discount},
            {"total": f"{total:.2f}", "tax": tax, "shipping": shipping},
            {"revenue": subtotal},
            {"revenue": subtotal, "total": total, "tax": tax, "shipping": shipping},
            {"revenue": subtotal + 1, "total": total, "tax": tax, "shipping": shipping},
            {"discount": discount},
        ])  # fmt: skip

    def order(self, received: datetime) -> list[Message]:
        order_id = f"o{len(self.orders) + 1}"
        buyer: dict[str, str] = self.chance.choice(
            [{"user_id": self.user()}, {"user_id": self.user()}, self.person(), {"anonymous_id": "guest"}, {}]
        )
        currency = self.chance.choice(["USD", "USD", "EUR", "eur", None])
        products: Any = self.products()
        amounts = self.amounts()
        self.orders[order_id] = {"buyer": buyer, "currency": currency, "completed": received}
        if self.chance.random() < 0.3:
            products = json.dumps(products)
        elif self.chance.random() < 0.3 and len(amounts) > 1:
            products = None
        completed = self.message(received, "track", event="Order Completed", **buyer, properties={
            "order_id": order_id, "currency": currency, "products": products, **self.place(), **amounts,
            "channel": self.chance.choice(["online", "in_store", None]),
            "shipping_method": self.chance.choice(["express", "Standard", "pickup", "carrier pigeon", None]),
            "use_case": self.chance.choice(["gift", "self", None]),
            "requested_delivery": self.chance.choice([iso(received + timedelta(days=1)), "2025-03-09", "soon", None]),
            "coupon": self.chance.choice(["SAVE10", "", None]),
        })  # fmt: skip
        found = [completed]
        if self.chance.random() < 0.12:  # the same order again, as another message, perhaps worth something else
            again = completed["properties"] | self.chance.choice([{}, {"revenue": 7, "subtotal": 7}])
            later = received + timedelta(hours=self.chance.randint(0, 90))
            found.append(self.message(later, "track", event="Order Completed", **buyer, properties=again))
        if self.chance.random() < 0.1:  # its refund overtakes it
            early = received - timedelta(hours=self.chance.randint(1, 70))
            found.append(self.message(early, "track", event="Order Refunded", **buyer, properties={
                "order_id": order_id, "currency": currency, "total": 5}))  # fmt: skip
        return found

    def earlier_order(self) -> str | None:
        recent = list(self.orders)[-40:]
        return self.chance.choice(recent) if recent else None

    def change(self, received: datetime) -> list[Message]:
        order_id = self.earlier_order()
        if not order_id:
            return []
        event = self.chance.choice(["Order Updated", "Order Updated", "Order Cancelled"])
        properties: dict[str, Any] = {"order_id": order_id, "currency": self.orders[order_id]["currency"]}
        if event == "Order Updated":
            properties |= self.amounts()
            if self.chance.random() < 0.7 or len(properties) < 4:
                properties["products"] = self.products()
            if self.chance.random() < 0.1:
                properties["currency"] = "EUR"
        return [self.message(received, "track", event=event, **self.orders[order_id]["buyer"], properties=properties)]

    def refund(self, received: datetime) -> list[Message]:
        order_id = self.earlier_order() if self.chance.random() < 0.93 else "o-unknown"
        if not order_id:
            return []
        known = self.orders.get(order_id, {"buyer": {}, "currency": "USD"})
        properties: dict[str, Any] = {"order_id": order_id, "currency": known["currency"]}
        properties |= self.chance.choice([
            {"total": 25}, {"total": 12.34}, {"total": 99999}, {}, self.refunded_without_total(received),
            {"total": 10, "products": [{"product_id": f"p{self.chance.randint(1, 8)}"}]},
        ])  # fmt: skip
        return [self.message(received, "track", event="Order Refunded", **known["buyer"], properties=properties)]

    @staticmethod
    def refunded_without_total(received: datetime) -> dict[str, Any]:
        """Another amount, or products with and without their prices."""
        hat, pin = {"product_id": "p1", "price": "7.50", "quantity": 2}, {"product_id": "p2"}
        return [{"revenue": 3}, {"products": [hat]}, {"products": [pin]}, {"products": [hat, pin]}][received.second % 4]

    def repeat(self, received: datetime) -> list[Message]:
        """An earlier message once more: as it was, or with changed instants, or with other content."""
        if not self.sent:
            return []
        message = dict(self.chance.choice(self.sent[-400:]))
        if message.get("message_id") is None:
            return []
        change = self.chance.randrange(4)
        if change == 1:
            message |= {"timestamp": iso(received - timedelta(hours=1)), "received_at": iso(received)}
        elif change == 2 and message.get("received_at"):
            message["received_at"] = iso(received)
        elif change == 3:
            message |= {"timestamp": iso(received), "received_at": iso(received), "anonymous_id": "device-77"}
        return [message]

    def reject(self, received: datetime) -> list[Message]:
        """A message that can't be taken in, for each reason."""
        good = self.message(
            received, "track", event="Product Viewed", anonymous_id="device-1", properties={"product_id": "p1"}
        )
        order = {"order_id": f"r{self.number}", "currency": "USD", "revenue": 10}
        faults: list[dict[str, Any]] = [
            {"message_id": None}, {"message_id": "  "},
            {"anonymous_id": None}, {"anonymous_id": " "},
            {"type": "event"}, {"type": None},
            {"timestamp": "yesterday"}, {"timestamp": None}, {"timestamp": "1989-12-31T00:00:00Z", "received_at": None},
            {"timestamp": iso(received + timedelta(days=3))}, {"received_at": "soon", "timestamp": iso(received)},
            {"timestamp": "2031-01-01T00:00:00Z", "received_at": "2031-01-01T00:00:00Z"},
            {"event": "Order Completed", "properties": order | {"order_id": None}},
            {"event": "Order Completed", "properties": order | {"revenue": "ten"}},
            {"event": "Order Completed", "properties": order | {"revenue": -1}},
            {"event": "Order Completed", "properties": order | {"revenue": 1e9}},
            {"event": "Order Completed", "properties": {"order_id": "empty"}},
            {"event": "Order Completed", "properties": order | {"currency": "XXX"}},
            {"event": "Order Completed", "properties": order | {"products": "a hat"}},
            {"event": "Order Completed", "properties": order | {"products": {"product_id": "p1"}}},
            {"event": "Order Completed", "properties": order | {"products": [{"price": 1e15, "quantity": 1e6}]}},
            {"event": "Order Completed", "properties": order | {"products": [{"price": 5, "quantity": 1e14}, None, 3]}},
            {"timestamp": "294247-01-10 04:00:54", "received_at": None}, {"received_at": "294247-01-10 04:00:54"},
            {"timestamp": "infinity"}, {"timestamp": "290308-12-21 (BC) 19:59:06"},
        ]  # fmt: skip
        return [good | self.chance.choice(faults)]


#: Lines of JSON files that are no messages at all.
BAD_LINES = [
    "{", "not json", '{"messageId": "x1", "type": "track"', "[1, 2]", '"text"', "null", "42", '{"a": 1}', "{}",
    '{"messageId": "bad", "type": "track" "timestamp": "2025-03-01T00:00:00Z"}', '{"messageId": "bad"} {}',
]  # fmt: skip


#: Minutes from UTC of those who write instants.
OFFSETS = (0, 0, 0, 0, 120, -480, 330)


def iso(instant: datetime) -> str:
    """A naive UTC instant as the spec writes it, or in the sender's own time, with its offset."""
    minutes = OFFSETS[instant.second % len(OFFSETS)]
    if not minutes:
        return instant.isoformat(timespec="milliseconds") + "Z"
    return (
        instant.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes))).isoformat(timespec="milliseconds")
    )


def readable(message: Message) -> bool:
    """Can a typed column hold the message's instants?"""
    for column in ("timestamp", "received_at"):
        if message.get(column) is not None:
            try:
                datetime.fromisoformat(message[column])
            except ValueError:
                return False
    return True
