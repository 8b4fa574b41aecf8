"""The rules of the books once more, in plain Python, a message at a time: the answer that the models are held against.

Written from the design and the contract, without looking at speed. Nothing is shared with the models but the raw files,
the manifest (which is as much input as they are) and the seed that says what each message is.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq

from hostile import CAMEL, COLUMNS, JSON_COLUMNS
from orchestration.settings import PROJECT_DIR

EARLIEST = datetime(1990, 1, 1)
DAY = timedelta(days=1)
AMOUNTS = ("revenue", "subtotal", "total", "shipping", "tax", "discount")
LARGEST_AMOUNT = 10_000_000
CENT = Decimal("0.01")
ZERO = Decimal(0)


@dataclass
class Posted:
    """A message as it stands in the books, or the reason why it doesn't."""

    file: str
    received_date: date
    raw: dict[str, Any]
    happened_at: datetime | None
    received_at: datetime | None
    reject_reason: str | None = None
    outcome: str = ""
    event_at: datetime = EARLIEST
    event_date: date = date.min
    properties: dict[str, Any] = field(default_factory=dict)
    money: dict[str, Decimal | None] = field(default_factory=dict)
    currency: str = ""
    rate: Decimal = Decimal(1)

    @property
    def message_id(self) -> str:
        return self.raw["message_id"]

    @property
    def event(self) -> str:
        return self.raw.get("event") or ""

    @property
    def actor(self) -> tuple[bool, str] | None:
        """The id as seen: (is it a user, id)."""
        if self.raw["user_id"]:
            return True, self.raw["user_id"]
        return (False, self.raw["anonymous_id"]) if self.raw["anonymous_id"] else None

    @property
    def is_order_message(self) -> bool:
        return self.raw["type"] == "track" and self.event in (
            "Order Completed", "Order Updated", "Order Cancelled", "Order Refunded"
        )  # fmt: skip


class Books:
    """All messages of the manifest's files, posted and judged."""

    def __init__(
        self, raw: Path, manifest: dict[str, dict[str, Any]], rates: list[dict[str, Any]], timezone: str
    ) -> None:
        self.zone = ZoneInfo(timezone)
        self.rates = [
            (row["currency"], date.fromisoformat(row["effective_date"]), Decimal(row["rate_to_reporting"]))
            for row in rates
            if row["effective_date"]
        ]
        with open(PROJECT_DIR / "seeds/reference/message_events.csv") as handle:
            self.events = {row["message"]: row for row in csv.DictReader(handle)}
        self.messages: list[Posted] = []
        undated: list[tuple[str, dict[str, Any], bool]] = []
        first_days: dict[str, date] = {}
        for name, entry in manifest.items():
            opened = date.fromisoformat(entry["open_date"]) if entry["open_date"] else date.min
            latest = datetime.fromisoformat(entry["first_seen_at"]) + DAY
            for record, malformed in read(raw / name):
                instant = posting_instant(record, latest)
                if instant is None:
                    undated.append((name, record, malformed))
                    continue
                day = max(self.day(instant), opened)
                first_days[name] = min(first_days.get(name, date.max), day)
                self.messages.append(self.judged(name, day, record, malformed, latest))
        for name, record, malformed in undated:
            opened = date.fromisoformat(manifest[name]["open_date"]) if manifest[name]["open_date"] else date.min
            day = first_days.get(name, max(min(first_days.values()), opened))
            self.messages.append(self.judged(name, day, record, malformed, EARLIEST))
        self.deduplicate()
        self.accepted = [message for message in self.messages if message.outcome == "accepted"]

    def day(self, instant: datetime) -> date:
        """The business day of a naive UTC instant."""
        return instant.replace(tzinfo=UTC).astimezone(self.zone).date()

    def rate(self, currency: str, day: date) -> Decimal | None:
        """The latest rate not after the day."""
        if currency == "USD":
            return Decimal(1)
        return max(
            ((since, rate) for code, since, rate in self.rates if code == currency and since <= day),
            default=(day, None),
        )[1]

    def judged(
        self, file: str, received_date: date, record: dict[str, Any], malformed: bool, latest: datetime
    ) -> Posted:
        """A record with what it says, and why it can't be taken in. `latest`: nothing can have been received later."""
        record = {
            name: (record[name].strip() or None)
            if name.endswith("_id") and isinstance(record.get(name), str)
            else record.get(name)
            for name in COLUMNS
        }
        happened, received = instant_of(record["timestamp"]), instant_of(record["received_at"])
        message = Posted(file, received_date, record, happened, received)
        if happened:
            message.event_at = min(happened, received or happened)
            message.received_at = received or happened
            message.event_date = self.day(message.event_at)
        message.properties = record["properties"] if isinstance(record["properties"], dict) else {}
        message.reject_reason = self.reason(message, malformed, latest)
        return message

    def reason(self, message: Posted, malformed: bool, latest: datetime) -> str | None:
        raw, happened = message.raw, message.happened_at
        received = instant_of(raw["received_at"])
        if malformed:
            return "malformed JSON"
        if not raw["message_id"]:
            return "no message_id"
        if raw["type"] not in ("track", "identify", "page", "screen", "group", "alias"):
            return "unknown type"
        if (
            not happened or (raw["received_at"] and not received) or message.event_at < EARLIEST
            or (received and happened > received + DAY) or (received or happened) > latest
        ):  # fmt: skip
            return "bad timestamp"
        if not message.is_order_message:
            return None if raw["user_id"] or raw["anonymous_id"] else "no identity"
        properties = message.properties
        if lines_of(message) is None:
            return "malformed JSON"
        if not properties.get("order_id"):
            return "order with no order_id"
        for name in AMOUNTS:
            text = properties.get(name)
            if text is None or str(text).strip() == "":
                message.money[name] = None
                continue
            try:
                message.money[name] = Decimal(str(text)).quantize(CENT, ROUND_HALF_UP)
            except InvalidOperation:
                return "non-numeric or absurd amount"
            if abs(message.money[name]) > LARGEST_AMOUNT or (name in AMOUNTS[:3] and message.money[name] < 0):
                return "non-numeric or absurd amount"
        is_priced = any(message.money[name] is not None for name in AMOUNTS[:3]) or bool(lines_of(message))
        if message.event in ("Order Completed", "Order Updated") and not is_priced:
            return "non-numeric or absurd amount"
        stated = str(properties.get("currency") or "").strip().upper()
        message.currency = stated or ("USD" if message.event == "Order Completed" else "")
        rate = self.rate(message.currency or "USD", message.event_date)
        if rate is None:
            return "currency with no rate"
        message.rate = rate
        return None

    def deduplicate(self) -> None:
        """The first to enter the books wins; a rejected message takes no id."""
        taken: set[str] = set()
        for message in sorted(self.messages, key=lambda m: (m.received_date, m.received_at or EARLIEST, m.file)):
            if message.reject_reason:
                message.outcome = "rejected"
            else:
                message.outcome = "duplicate" if message.message_id in taken else "accepted"
                taken.add(message.message_id)

    # ---- what follows from the messages

    def ledger(self, as_of: date) -> Counter[tuple[date, str, str]]:
        """Messages by received date, outcome and reason."""
        return Counter(
            (m.received_date, m.outcome, m.reject_reason or "") for m in self.messages if m.received_date <= as_of
        )

    def firsts(self, kind: Callable[[Posted], tuple[str, str] | None], as_of: date) -> dict[str, str]:
        """The first pair (key, value) to enter the books for each key."""
        found: dict[str, str] = {}
        for m in sorted(self.accepted, key=lambda m: (m.received_date, m.received_at, m.message_id)):
            if m.received_date <= as_of and (pair := kind(m)):
                found.setdefault(*pair)
        return found

    def links(self, as_of: date) -> dict[str, str]:
        """Device -> user."""
        return self.firsts(
            lambda m: (m.raw["anonymous_id"], m.raw["user_id"]) if m.raw["anonymous_id"] and m.raw["user_id"] else None,
            as_of,
        )

    def aliases(self, as_of: date) -> dict[str, str]:
        """Id -> the id that it is another name of, one hop."""

        def pair(m: Posted) -> tuple[str, str] | None:
            if m.raw["type"] != "alias" or not m.raw["previous_id"] or m.raw["previous_id"] == m.actor[1]:
                return None
            return m.raw["previous_id"], m.actor[1]

        return self.firsts(pair, as_of)

    def identity(self, as_of: date) -> Callable[[tuple[bool, str]], tuple[str, bool]]:
        """Who is behind an actor: (customer, is it somebody known)."""
        links, aliases = self.links(as_of), self.aliases(as_of)

        def resolve(actor: tuple[bool, str]) -> tuple[str, bool]:
            is_user, name = actor
            linked = name if is_user else links.get(name, name)
            return end_of_chain(linked, aliases), is_user or name in links or linked in aliases

        return resolve

    def order_states(self, as_of: date) -> dict[str, list[OrderState]]:
        """Of each order its state on each day on which one of its messages was posted."""
        by_order: dict[str, list[Posted]] = defaultdict(list)
        for m in self.accepted:
            if m.is_order_message and m.received_date <= as_of:
                by_order[str(m.properties["order_id"]).strip()].append(m)
        return {
            order: [state_of_order([m for m in messages if m.received_date <= day]) for day in posting_days(messages)]
            for order, messages in by_order.items()
        }

    def sessions(self, as_of: date) -> Counter[tuple[str, date, bool, str]]:
        """Sessions by device, business day, and whose they are."""
        visits: dict[tuple[str, date], list[Posted]] = defaultdict(list)
        for m in self.accepted:
            if m.received_date <= as_of and self.is_visit(m):
                visits[m.raw["anonymous_id"] or m.raw["user_id"], m.event_date].append(m)
        found: Counter[tuple[str, date, bool, str]] = Counter()
        for (device, day), messages in visits.items():
            messages.sort(key=lambda m: (m.event_at, m.raw["user_id"] is None, m.raw["user_id"] or ""))
            for position, m in enumerate(messages):
                if position and m.event_at - messages[position - 1].event_at < timedelta(minutes=30):
                    continue
                users = [later.raw["user_id"] for later in messages[position:] if later.raw["user_id"]]
                found[device, day, bool(users), users[0] if users else device] += 1
        return found

    def activity(self, message: Posted) -> str:
        """What the message is for, by the seed."""
        kind = message.event if message.raw["type"] == "track" else message.raw["type"]
        return self.events.get(kind, {}).get("activity", "")

    def is_visit(self, message: Posted) -> bool:
        """Is it something that somebody does on the site?"""
        kind = message.event if message.raw["type"] == "track" else message.raw["type"]
        return self.events.get(kind, {}).get("is_visit") == "true"

    def customers(self, snapshot: date) -> dict[str, dict[str, Any]]:
        """The people of a snapshot, with what orders and visits tell of them."""
        resolve = self.identity(snapshot)
        people: dict[str, dict[str, Any]] = {}
        purchase_days: dict[str, dict[date, list[Any]]] = defaultdict(lambda: defaultdict(lambda: [0, ZERO, ZERO]))
        for m in self.accepted:
            if m.received_date > snapshot or not m.actor:
                continue
            customer, is_known = resolve(m.actor)
            person = people.setdefault(customer, {"is_known": False, "last_visit": date.min, "views": 0, "mails": 0})
            person["is_known"] |= is_known
            if self.is_visit(m) and m.event_date > snapshot - 90 * DAY:
                person["last_visit"] = max(person["last_visit"], m.event_date)
            if m.event_date > snapshot - 90 * DAY:
                person["views"] += self.activity(m) == "product_view"
                person["mails"] += self.activity(m) == "email_delivered"
        for states in self.order_states(snapshot).values():
            if states and states[-1].actor:
                customer, _ = resolve(states[-1].actor)
                totals = purchase_days[customer][states[-1].order_date]
                totals[0] += not states[-1].is_cancelled
                totals[1] += states[-1].revenue
                totals[2] += states[-1].revenue - states[-1].refunded
        sessions: Counter[str] = Counter()
        for (_, day, is_user, name), count in self.sessions(snapshot).items():
            if day > snapshot - 90 * DAY:
                sessions[resolve((is_user, name))[0]] += count
        return {
            customer: {
                "is_known": person["is_known"], "sessions_90d": sessions[customer],
                "product_views_90d": person["views"],
                "emails_delivered_90d": person["mails"], **purchases(purchase_days.get(customer, {}), snapshot),
            }
            for customer, person in people.items()
            if person["is_known"] or customer in purchase_days or person["last_visit"] > date.min
        }  # fmt: skip

    def contactable(self, snapshot: date) -> dict[str, bool]:
        """What the latest message about it says, of customers of whom one says anything."""
        resolve = self.identity(snapshot)
        latest: dict[str, tuple[datetime, str, bool]] = {}
        for m in self.accepted:
            says = {"subscribe": True, "unsubscribe": False, "email_bounce": False, "email_spam": False}.get(
                self.activity(m)
            )
            if m.raw["type"] in ("identify", "group"):
                consent = (m.raw["traits"] or {}).get("emailConsent")
                says = consent if isinstance(consent, bool) else None
            if says is None or m.received_date > snapshot:
                continue
            customer, _ = resolve(m.actor)
            latest[customer] = max(latest.get(customer, (EARLIEST, "", False)), (m.event_at, m.message_id, says))
        return {customer: says for customer, (_, _, says) in latest.items()}

    def traits(self, snapshot: date) -> dict[str, dict[str, Any]]:
        """Of whoever said anything: the latest lifestyle, and country and city of the latest address.

        An address is one statement. A group message's is the company's, and holds where there is no other.
        """
        resolve = self.identity(snapshot)
        latest: dict[str, dict[str, tuple[datetime, str, Any]]] = {}
        for m in self.accepted:
            is_group = m.raw["type"] == "group"
            said = m.raw["traits"]
            if not (is_group or (m.raw["type"] == "identify" and said is not None)) or m.received_date > snapshot:
                continue
            customer, _ = resolve(m.actor)
            known = latest.setdefault(customer, {})
            address = (said or {}).get("address") or {}
            statements = {
                "lifestyle": (said or {}).get("lifestyle"),
                "company's" if is_group else "own": (address.get("country"), address.get("city")) if address else None,
            }
            for trait, says in statements.items():
                if says is not None:
                    known[trait] = max(known.get(trait, (EARLIEST, "", None)), (m.event_at, m.message_id, says))
        nothing = (EARLIEST, "", (None, None))
        return {
            customer: {
                "lifestyle": known.get("lifestyle", (EARLIEST, "", None))[2],
                "country": known.get("own", known.get("company's", nothing))[2][0],
                "city": known.get("own", known.get("company's", nothing))[2][1],
            }
            for customer, known in latest.items()
        }


@dataclass
class OrderState:
    """What is known of an order. Money in the reporting currency, but `net_order_currency`."""

    posted: date
    actor: tuple[bool, str] | None
    order_date: date
    currency: str
    is_cancelled: bool
    items: Decimal
    revenue: Decimal
    discount: Decimal
    tax: Decimal
    shipping: Decimal
    refunded: Decimal
    net_order_currency: Decimal
    refunded_by_day: dict[date, Decimal]


def posting_days(messages: Iterable[Posted]) -> list[date]:
    """The days on which an order changes: those of its messages, from that of its first Order Completed on."""
    completed = [m.received_date for m in messages if m.event == "Order Completed"]
    return sorted({m.received_date for m in messages if completed and m.received_date >= min(completed)})


def state_of_order(messages: list[Posted]) -> OrderState:
    """The state of an order as a function of all its messages that have been posted."""
    first = min(
        (m for m in messages if m.event == "Order Completed"),
        key=lambda m: (m.received_date, m.received_at, m.message_id),
    )

    def recency(m: Posted) -> tuple[datetime, datetime, str]:
        return m.event_at, m.received_at, m.message_id

    sales = [m for m in messages if m.event in ("Order Completed", "Order Updated")]
    latest = max(sales, key=recency)
    with_lines = max((m for m in sales if lines_of(m)), key=recency, default=None)
    is_cancelled = any(m.event == "Order Cancelled" for m in messages)
    lines = lines_of(with_lines) if with_lines else []
    amount = net_amount(latest)
    if amount is None:
        worth = [cents(price * quantity) for price, quantity in lines if price is not None]
        amount = max(sum(worth) - (latest.money["discount"] or ZERO), ZERO) if worth else ZERO
    factor = ZERO if is_cancelled else in_order_currency(latest, first)
    own = {name: cents((latest.money[name] or ZERO) * factor) for name in ("discount", "tax", "shipping")}
    sold = cents(amount * factor)
    asked, refunded_by_day, given, refunded = ZERO, defaultdict(Decimal), ZERO, ZERO
    for m in sorted((m for m in messages if m.event == "Order Refunded"), key=recency):
        worth = [cents(price * quantity) for price, quantity in lines_of(m) or () if price is not None]
        stated = net_amount(m)
        if stated is None and worth:
            stated = max(sum(worth), ZERO)
        asked += sold if stated is None else cents(stated * in_order_currency(m, first))
        given, before = min(asked, sold), given
        # Rounded to date, so that all of it is all of it in either currency.
        share = cents(given * first.rate) - cents(before * first.rate)
        refunded_by_day[m.event_date] += share
        refunded += share
    return OrderState(
        posted=max(m.received_date for m in messages), actor=first.actor,
        order_date=first.event_date, currency=first.currency,
        is_cancelled=is_cancelled, items=ZERO if is_cancelled else sum((quantity for _, quantity in lines), ZERO),
        revenue=cents(sold * first.rate), discount=cents(own["discount"] * first.rate),
        tax=cents(own["tax"] * first.rate),
        shipping=cents(own["shipping"] * first.rate), refunded=refunded, net_order_currency=sold - given,
        refunded_by_day={day: money for day, money in refunded_by_day.items() if money},
    )  # fmt: skip


def net_amount(message: Posted) -> Decimal | None:
    """Net of discounts, without shipping and tax; None where the message doesn't say."""
    money = message.money
    if message.event == "Order Refunded":
        return next((money[name] for name in ("total", "revenue", "subtotal") if money[name] is not None), None)
    if money["subtotal"] is not None:
        return money["subtotal"]
    if money["total"] is not None:
        goods = money["total"] - (money["shipping"] or ZERO) - (money["tax"] or ZERO)
        if money["revenue"] in (None, goods, goods + (money["discount"] or ZERO)):
            return max(goods, ZERO)
    return money["revenue"]


def lines_of(message: Posted) -> list[tuple[Decimal | None, Decimal]] | None:
    """Price and quantity of an order message's products, as far as they can be true; None where they are no list."""
    products = message.properties.get("products") or []
    if isinstance(products, str):
        try:
            products = json.loads(products)
        except ValueError:
            return None
    if not isinstance(products, list):
        return None
    lines = []
    for item in products:
        stated = item if isinstance(item, dict) else {}
        price = Decimal(str(stated["price"])) if stated.get("price") is not None else None
        quantity = Decimal(str(stated["quantity"])) if stated.get("quantity") is not None else Decimal(1)
        if price is not None and abs(price * quantity) > LARGEST_AMOUNT:
            price = None
        lines.append((price, quantity if abs(quantity) <= LARGEST_AMOUNT else Decimal(1)))
    return lines


def in_order_currency(message: Posted, first: Posted) -> Decimal:
    """What to multiply a later message's amounts with. One that states no currency is in the order's."""
    return Decimal(1) if message.currency in ("", first.currency) else message.rate / first.rate


def purchases(days: dict[date, list[Any]], snapshot: date) -> dict[str, Any]:
    """RFM and the model inputs from purchase days (orders, revenue, net revenue)."""
    ordered = [day for day, (orders, _, _) in days.items() if orders > 0]
    spent = sorted((day, net) for day, (orders, gross, net) in days.items() if orders and (net > 0 or not gross))
    first = spent[0][0] if spent else None
    return {
        "is_buyer": bool(ordered),
        "orders": sum(orders for orders, _, _ in days.values()),
        "revenue": sum((revenue for _, revenue, _ in days.values()), ZERO),
        "net_revenue": sum((net for _, _, net in days.values()), ZERO),
        "orders_90d": sum(orders for day, (orders, _, _) in days.items() if (snapshot - day).days < 90),
        "net_revenue_mtd": sum((net for day, (_, _, net) in days.items() if day >= snapshot.replace(day=1)), ZERO),
        "first_order_date": min(ordered, default=None),
        "days_since_last_order": (snapshot - max(ordered)).days if ordered else None,
        "frequency": len(spent) - 1 if spent else None,
        "recency_days": (spent[-1][0] - first).days if first else None,
        "age_days": (snapshot - first).days if first else None,
        "repeat_spend": sum((net for day, net in spent[1:]), ZERO) if len(spent) > 1 else None,
    }


def end_of_chain(name: str, aliases: dict[str, str]) -> str:
    """Follow aliases for up to 16 hops; a circle ends at its least id."""
    path = [name]
    while path[-1] in aliases and len(path) <= 16:
        following = aliases[path[-1]]
        if following in path:
            return min(path[path.index(following) :])
        path.append(following)
    return path[-1]


def cents(value: Decimal) -> Decimal:
    """To the cent, halves away from zero."""
    return value.quantize(CENT, ROUND_HALF_UP)


def instant_of(text: Any) -> datetime | None:
    """A naive UTC instant, or None where the text is none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
    except (TypeError, ValueError):
        return None


def posting_instant(record: dict[str, Any], latest: datetime) -> datetime | None:
    """When the message was received, if that can be true; else when it happened."""
    happened, received = instant_of(record.get("timestamp")), instant_of(record.get("received_at"))
    return next((i for i in (received or happened, happened) if i and EARLIEST <= i <= latest), None)


def read(path: Path) -> Iterable[tuple[dict[str, Any], bool]]:
    """The records of a file under the contract's names, and whether each is malformed."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        for row in table.to_pylist():
            for column in JSON_COLUMNS:
                row[column] = json.loads(row[column]) if row[column] else None
            for column in ("timestamp", "received_at"):
                if isinstance(row[column], datetime):
                    row[column] = row[column].replace(tzinfo=UTC).isoformat()
            yield row, False
        return
    snake = {camel: column for column, camel in CAMEL.items()}
    data = path.read_bytes()
    for line in (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            yield {}, True
            continue
        record = record if isinstance(record, dict) else {}
        yield {snake.get(key, key): value for key, value in record.items()}, False
