"""From raw files to published marts: what goes in, what comes out, and what a run that fails leaves alone."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.special import hyp2f1

from hostile import as_line, parquet_table
from orchestration import atlas, datasets, dbt
from orchestration.errors import StrataError
from orchestration.publish import current, publish
from orchestration.rollback import rollback
from orchestration.settings import PROJECT_DIR
from rehearsal import Rehearsal

NOW = datetime(2025, 6, 3, 12)

Message = dict[str, Any]


def message(number: int, event: str, day: int, **more: Any) -> Message:
    """A track message of a day in May 2025; `properties` and the rest of the contract by keyword."""
    return {
        "message_id": f"m{number}", "type": "track", "event": event,
        "timestamp": f"2025-05-{day:02}T15:00:{number % 60:02}Z",
        "received_at": f"2025-05-{day:02}T15:01:00Z", **more,
    }  # fmt: skip


def write_lines(path: Path, messages: list[Message], camel: bool = True) -> None:
    """Messages as a file of JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(as_line(one, camel=camel) + "\n" for one in messages))


def fingerprints(books: Rehearsal) -> dict[str, str]:
    """A hash of every file that a refresh may write, and where the publication points."""
    places = (books.settings.warehouse, books.settings.published, books.settings.manifest)
    files = [file for place in places for file in ([place] if place.is_file() else sorted(place.rglob("*")))]
    return {
        str(file): os.readlink(file) if file.is_symlink() else hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.is_symlink() or file.is_file()
    }


def published(books: Rehearsal, sql: str) -> list[tuple[Any, ...]]:
    """Rows of what readers see."""
    with duckdb.connect(str(books.settings.published / "strata.duckdb"), read_only=True) as db:
        return db.execute(sql).fetchall()


# ---- a shop that knows nothing but its orders

PRODUCTS = [
    {"product_id": "hat", "name": "Hat", "category": "hats", "price": 40, "quantity": 2},
    {"product_id": "pin", "name": "Pin", "category": "pins", "price": 20, "quantity": 1},
]
MONEY = {"order_id": "o1", "currency": "USD", "subtotal": 100, "tax": 8, "total": 108}


@pytest.fixture(scope="session")
def shop(home: Path) -> Rehearsal:
    """One order, paid in two parts and refunded in part; nothing else has ever happened."""
    books = Rehearsal(home, "shop")
    buyer = {"user_id": "ann"}
    write_lines(books.raw / "events" / "orders.jsonl", [
        message(1, "Order Completed", 2, **buyer, properties=MONEY | {"products": PRODUCTS}),
        message(2, "Order Updated", 3, **buyer, properties=MONEY | {"products": PRODUCTS, "payment": 60}),
        message(3, "Order Updated", 4, **buyer, properties=MONEY | {"products": PRODUCTS, "payment": 48}),
        message(4, "Order Refunded", 5, **buyer, properties={"order_id": "o1", "currency": "USD", "total": 25}),
    ])  # fmt: skip
    books.refresh(NOW)
    return books


def test_an_order_is_counted_once_however_often_it_is_paid_and_refunded(shop: Rehearsal) -> None:
    [row] = published(
        shop, "select count(*), avg(revenue), sum(refunded_revenue), sum(tax), sum(net_revenue) from marts.orders"
    )
    assert row == (1, 100, 25, 8, 75)
    [row] = published(shop, "select sum(orders), sum(revenue), sum(refunded_revenue) from marts.revenue_entries")
    assert row == (1, 100, 25)
    [row] = published(
        shop, "select count(*), sum(quantity), sum(revenue), sum(refunded_revenue) from marts.order_items"
    )
    assert row == (2, 3, 100, 25)
    assert published(shop, "select orders, revenue, net_revenue from marts.customers") == [(1, 100, 75)]
    lines = published(
        shop, "select line, amount from quality.revenue_reconciliation where line_number in (10, 40, 90, 95)"
    )
    assert dict(lines) == {
        "orders as first completed": 100,
        "refunded": -25,
        "net revenue in the marts": 75,
        "difference": 0,
    }


def test_a_shop_with_nothing_but_orders_has_nothing_invented(shop: Rehearsal) -> None:
    [row] = published(
        shop,
        "select country, age_band, acquisition_source, acquisition_campaign_id, micro_segment_id from marts.customers",
    )
    assert row == ("unknown", "unknown", None, None, None) or row == ("unknown", "unknown", "unknown", None, None)
    assert published(
        shop, "select sum(sessions), sum(product_views), sum(emails_delivered) from marts.customer_days"
    ) == [(0, 0, 0)]
    assert published(shop, "select count(*) from marts.micro_segments") == [(0,)]
    assert published(shop, "select count(*) from quality.ltv_fits where is_used") == [(0,)]
    assert published(shop, "select campaign_id, store_id, coupon from marts.orders") == [(None, None, None)]


def test_a_shop_with_nothing_but_orders_has_its_atlas(shop: Rehearsal, tmp_path: Path) -> None:
    atlas.write(shop.settings.published / "strata.duckdb", tmp_path / "atlas.html")
    html = (tmp_path / "atlas.html").read_text()
    assert "<h1>shop</h1>" in html
    assert "revenue reconciled with the messages" in html
    assert "75 <small>USD</small>" in html
    assert "No segments: there are fewer customers than a macro-segment needs to be shown." in html


def test_a_refresh_with_nothing_new_writes_nothing(shop: Rehearsal) -> None:
    before = fingerprints(shop)
    started = time.process_time()
    assert shop.refresh(NOW).published is None
    assert time.process_time() - started < 3
    assert fingerprints(shop) == before


def test_what_is_damaged_of_a_publication_is_published_again(shop: Rehearsal) -> None:
    settings = shop.settings
    figures = shop.query("from marts.customers order by all")

    def copy_in_place_of_the_link() -> None:
        link = settings.published / "strata.duckdb"
        content = link.read_bytes()
        link.unlink()
        link.write_bytes(content)

    def truncate() -> None:
        file = Path(os.path.realpath(settings.published / "strata.duckdb"))
        file.chmod(0o644)
        os.truncate(file, 4096)

    for damage in (
        (settings.published / "parquet").unlink,
        lambda: (settings.published / "parquet" / "marts" / "orders.parquet").unlink(),
        copy_in_place_of_the_link,
        truncate,
        lambda: shutil.rmtree(settings.published),
    ):
        damage()
        assert shop.refresh(NOW).published
        assert pq.read_table(settings.published / "parquet" / "marts" / "customers.parquet").num_rows == len(figures)
        with duckdb.connect(str(settings.published / "strata.duckdb"), read_only=True) as db:
            assert db.execute("from marts.customers order by all").fetchall() == figures
        assert (settings.published / "atlas.html").stat().st_size > 0
        assert shop.refresh(NOW).published is None


def test_what_cannot_be_read_any_more_is_named_with_what_to_do(shop: Rehearsal) -> None:
    manifest = shop.settings.manifest / "files.jsonl"
    for file, advice in ((shop.settings.warehouse, "Remove it and refresh"), (manifest, "from your back-up")):
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2] if file == manifest else b"nothing of DuckDB's" * 1000)
        with pytest.raises(StrataError, match=advice):
            shop.refresh(NOW)
        file.write_bytes(content)
    gone = shop.raw.rename(shop.raw.with_name("elsewhere"))
    with pytest.raises(StrataError, match=r"raw file\(s\) that were taken in are gone"):
        shop.refresh(NOW)
    gone.rename(shop.raw)
    assert shop.refresh(NOW).published is None


def test_a_rollback_holds_until_the_next_refresh_also_with_nothing_new(shop: Rehearsal) -> None:
    latest = current(shop.settings)
    manifest = json.loads((shop.settings.home / "target" / "manifest.json").read_text())
    older = publish(shop.settings, manifest=manifest, run_id="older", facts={"as_of": "2025-05-03"}).path
    os.utime(older, (0, 0))
    assert shop.refresh(NOW).published, "the publication of the last run stands again"
    assert current(shop.settings) == latest
    rollback(shop.settings)
    assert published(shop, "select run_id, as_of from main._publication") == [("older", "2025-05-03")]
    assert shop.refresh(NOW).published
    assert current(shop.settings) == latest
    assert shop.refresh(NOW).published is None


def test_other_words_and_tests_are_published_though_no_figure_changes(
    shop: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, figures = current(shop.settings), shop.query("from marts.customers order by all")
    monkeypatch.setattr(dbt, "WORD_PATHS", ("models",))
    done = shop.refresh(NOW)
    after = current(shop.settings)
    assert done.published and after["run_id"] != before["run_id"]
    assert done.layer_seconds["tests"] > 0
    assert before["state"].split()[:-1] == after["state"].split()[:-1]
    assert shop.query("from marts.customers order by all") == figures
    monkeypatch.undo()
    shop.refresh(NOW)


# ---- what can be wrong with the files


def broken_parquet(raw: Path) -> str:
    """A Parquet file that was cut off."""
    write = raw / "events" / "cut.parquet"
    pq.write_table(parquet_table([message(9, "Product Viewed", 6, user_id="bob")], native=False), write)
    write.write_bytes(write.read_bytes()[:-20])
    return "cut.parquet"


def broken_gzip(raw: Path) -> str:
    """A compressed file that was cut off."""
    content = gzip.compress(as_line(message(9, "Product Viewed", 6, user_id="bob"), camel=True).encode() * 50)
    (raw / "events" / "cut.jsonl.gz").write_bytes(content[: len(content) // 2])
    return "cut.jsonl.gz"


def missing_column(raw: Path) -> str:
    """A Parquet file without timestamp."""
    table = parquet_table([message(9, "Product Viewed", 6, user_id="bob")], native=False)
    pq.write_table(table.drop_columns("timestamp"), raw / "events" / "undated.parquet")
    return "undated.parquet has no column timestamp"


def json_array(raw: Path) -> str:
    """One JSON array in place of lines."""
    (raw / "events" / "array.json").write_text(json.dumps([message(9, "Product Viewed", 6, user_id="bob")], indent=1))
    return "array.json"


def changed_file(raw: Path) -> str:
    """A file that has been taken in, edited."""
    path = raw / "events" / "orders.jsonl"
    path.write_text(path.read_text().replace('"total": 25', '"total": 26'))
    return "orders.jsonl changed"


def vanished_file(raw: Path) -> str:
    """A file that has been taken in, removed; another one lies there."""
    (raw / "events" / "orders.jsonl").rename(raw / "events" / "renamed.jsonl")
    return "events/orders.jsonl"


def no_file(raw: Path) -> str:
    """Nothing at all."""
    shutil.rmtree(raw / "events")
    return "taken in are gone"


@pytest.mark.parametrize(
    "fault", [broken_parquet, broken_gzip, missing_column, json_array, changed_file, vanished_file, no_file]
)
def test_a_file_that_cannot_be_taken_in_stops_the_run_and_changes_nothing(
    shop: Rehearsal, fault: Callable[[Path], str], tmp_path: Path
) -> None:
    shutil.copytree(shop.raw, tmp_path / "raw")
    before = fingerprints(shop)
    try:
        named = fault(shop.raw)
        with pytest.raises(StrataError) as stopped:
            shop.refresh(NOW)
    finally:
        shutil.rmtree(shop.raw)
        shutil.copytree(tmp_path / "raw", shop.raw)
    assert named in str(stopped.value)
    assert fingerprints(shop) == before


def test_files_without_a_message_stop_the_first_run(home: Path) -> None:
    books = Rehearsal(home, "blank")
    write_lines(books.raw / "events" / "blank.jsonl", [])
    with pytest.raises(StrataError, match="usable timestamp"):
        books.refresh(NOW)
    assert fingerprints(books) == {}


def test_a_test_that_fails_names_itself_and_leaves_the_publication(
    shop: Rehearsal, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    for part in ("models", "macros", "seeds", "tests/generic"):
        shutil.copytree(PROJECT_DIR / part, project / part)
    for part in ("dbt_project.yml", "profiles.yml", "orchestration"):
        (project / part).symlink_to(PROJECT_DIR / part)
    (project / "tests" / "assert_nobody_buys_hats.sql").write_text(
        "select 1 from {{ ref('order_items') }} where product_id = 'hat'"
    )
    monkeypatch.setattr(dbt, "PROJECT_DIR", project)
    before = os.readlink(shop.settings.published / "strata.duckdb")
    later = shop.raw / "events" / "later.jsonl"
    write_lines(later, [message(8, "Order Completed", 9, user_id="bob", properties=MONEY | {"order_id": "o2"})])
    try:
        with pytest.raises(StrataError, match="assert_nobody_buys_hats"):
            shop.refresh(NOW)
    finally:
        later.unlink()
    assert os.readlink(shop.settings.published / "strata.duckdb") == before
    # The books say nothing of the failed run: the file may go again.
    monkeypatch.undo()
    assert shop.refresh(NOW).window.as_of == date(2025, 5, 5)


# ---- the forms in which messages may come

FORMS = ("camel", "snake", "zipped", "text", "native", "nested")
EVERYTHING: list[Message] = [
    message(1, "Order Completed", 2, user_id="ann", anonymous_id="phone", properties=MONEY | {"products": PRODUCTS}),
    message(2, "Order Completed", 2, user_id="ann",
            properties=MONEY | {"order_id": "o2", "products": json.dumps(PRODUCTS)}),
    message(3, "Order Refunded", 3, user_id="ann", properties={"order_id": "o1", "total": "25.00"}),
    message(4, "Product Viewed", 3, anonymous_id="phone", properties={"product_id": "hat"},
            context={"campaign": {"source": "mail", "name": "spring"}}),
    message(5, "Product Reviewed", 4, user_id="ann", properties={"product_id": "hat", "rating": "4"}),
    message(6, "", 4, user_id="ann")
    | {"type": "identify", "event": None, "traits": {"address": {"country": "US"}, "age": 31}},
    message(7, "", 4, user_id="anne") | {"type": "alias", "event": None, "previous_id": "ann"},
    message(7, "", 5, user_id="anne") | {"type": "alias", "event": None, "previous_id": "ann"},
    message(8, "Product Viewed", 5, properties={"product_id": "hat"}),
]  # fmt: skip


def of_form(form: str) -> list[Message]:
    """All messages, with ids that say in which form they come."""
    found = []
    for one in EVERYTHING:
        own = {key: f"{value}-{form}" for key, value in one.items() if key.endswith("_id") and value}
        order_id = (one.get("properties") or {}).get("order_id")
        if order_id:
            own["properties"] = one["properties"] | {"order_id": f"{order_id}-{form}"}
        found.append({**one, "received_at": one["received_at"], **own})
    return found


def nested_table(messages: list[Message]) -> pa.Table:
    """Messages under the spec's names, with objects as structs and products as a list."""
    rows = []
    for one in messages:
        row = json.loads(as_line(one, camel=True))
        products = row.get("properties", {}).get("products")
        if isinstance(products, str):
            row["properties"]["products"] = json.loads(products)
        if "properties" in row and "total" in row["properties"]:
            row["properties"]["total"] = float(row["properties"]["total"])
        rows.append(row)
    columns = dict.fromkeys(key for row in rows for key in row)
    return pa.table({column: pa.array([row.get(column) for row in rows]) for column in columns})


def test_every_form_of_raw_messages_gives_the_same_rows(home: Path, shop: Rehearsal) -> None:
    others = fingerprints(shop)
    books = Rehearsal(home, "forms")
    events = books.raw / "events"
    write_lines(events / "camel.jsonl", of_form("camel"))
    write_lines(events / "snake.ndjson", of_form("snake"), camel=False)
    write_lines(events / "zipped.jsonl", of_form("zipped"))
    (events / "zipped.jsonl.gz").write_bytes(gzip.compress((events / "zipped.jsonl").read_bytes()))
    (events / "zipped.jsonl").unlink()
    pq.write_table(parquet_table(of_form("text"), native=False), events / "text.parquet")
    pq.write_table(parquet_table(of_form("native"), native=True), events / "native.parquet")
    pq.write_table(nested_table(of_form("nested")), events / "nested.parquet")
    books.refresh(NOW)

    for select in (
        "message_id, received_date, outcome, reject_reason, event, user_id, anonymous_id, previous_id, event_at, "
        "received_at, product_id, utm_source, order_id, order_amount, order_tax from staging.stg_messages",
        "message_id, line_number, product_id, category, unit_price, quantity from staging.stg_order_lines",
        "order_id, entry_type, received_date, revenue, refunded_revenue, items from intermediate.int_order_entries",
        "customer_id, orders, net_revenue, country, age_band, acquisition_source from marts.customers",
        "received_date, messages_read, accepted, duplicates, rejected from quality.message_ledger",
    ):
        columns, source = select.split(" from ")
        name = "file" if "ledger" in source else columns.split(",")[0]
        rows = books.query(f"select {name}, {columns} from {source}")
        by_form = {
            form: sorted(str(row[1:]).replace(f"-{form}", "") for row in rows if form in row[0]) for form in FORMS
        }
        assert by_form["camel"], source
        for form in FORMS[1:]:
            assert by_form[form] == by_form["camel"], (source, form)

    totals = books.query(
        "select sum(messages_read), sum(accepted), sum(duplicates), sum(rejected) from quality.message_ledger"
    )
    assert totals == [(6 * 9, 6 * 7, 6, 6)]
    assert published(books, "select count(*) from marts.orders") == [(12,)]
    # Another dataset's refresh is none of the shop's business.
    assert fingerprints(shop) == others


# ---- public data sets, whose figures are known


def refreshed(home: Path, dataset: str, business: Callable[..., None], as_of: date | None = None) -> Rehearsal:
    """A public data set, all the way."""
    business(**datasets.describe(dataset).variables | {"ltv_family": "bg"})
    books = Rehearsal(home, dataset)
    datasets.prepare(books.settings, source=None, size=None, until=None, now=NOW)
    books.refresh(NOW, as_of)
    return books


def test_cdnow_sample_gives_the_published_bg_nbd_figures(home: Path, business: Callable[..., None]) -> None:
    books = refreshed(home, "cdnow_sample", business, as_of=date(1997, 9, 30))
    [row] = published(books, """
        select r, alpha, a, b, customers, repeat_buyers, fit_status, log_likelihood, p, q, gamma, is_used
        from quality.ltv_fits where family = 'bg' and scope = 'pooled' and cutoff_date = '1997-09-30'
    """)  # fmt: skip
    assert row[:4] == pytest.approx((0.242595, 4.413602, 0.792922, 2.425906), rel=1e-4)
    assert row[4:7] == (2357, 946, "ok")
    assert row[7] == pytest.approx(-9582.4292, abs=0.001)
    assert row[8:11] == pytest.approx((6.24957, 3.74422, 15.44352), rel=1e-3)
    assert row[11] is True
    [row] = published(
        books, "select count(*), sum(frequency), count_if(frequency > 0) from marts.customer_snapshots where is_latest"
    )
    assert row == (2357, 2457, 946)


TOTALS = {
    "cdnow": (23_570, 69_659, Decimal("2500315.63")),
    "complete_journey": (2_469, 155_848, Decimal("4596039.58")),
}


@pytest.mark.parametrize("dataset", [pytest.param("cdnow", marks=pytest.mark.slow), "complete_journey"])
def test_public_totals_are_reconciled_to_the_cent(home: Path, business: Callable[..., None], dataset: str) -> None:
    customers, orders, revenue = TOTALS[dataset]
    books = refreshed(home, dataset, business)
    lines = published(
        books,
        "select line_number, order_currency, messages, amount, amount_reporting_currency "
        "from quality.revenue_reconciliation",
    )
    assert (10, "USD", orders, revenue, None) in lines
    assert (90, "USD", orders, revenue, revenue) in lines
    assert published(books, "select count(distinct customer_id), count(*), sum(net_revenue) from marts.orders") == [
        (customers, orders, revenue)
    ]
    assert published(books, "select count(*), sum(net_revenue) from marts.customers where is_buyer") == [
        (customers, revenue)
    ]
    assert published(books, "select sum(net_revenue) from marts.revenue_entries") == [(revenue,)]
    if dataset == "complete_journey":
        half_a_year_of_households_is_foretold(books)


def half_a_year_of_households_is_foretold(books: Rehearsal) -> None:
    """BG/NBD on what was posted by 2017-06-30, against the rest of the year: 63,772 purchase days in 26.29 weeks."""
    [fit] = published(books, """
        select r, alpha, a, b, log_likelihood, customers, fit_status from quality.ltv_fits
        where cutoff_date = '2017-06-30' and scope = 'pooled' and family = 'bg'
    """)  # fmt: skip
    assert fit[:4] == pytest.approx((1.4066, 1.3484, 0.0126, 7.6887), rel=1e-3)
    assert fit[4] == pytest.approx(-39_761.85, abs=0.01)
    assert fit[5:] == (2_393, "ok")
    r, alpha, a, b = fit[:4]
    rows = books.query("""
        select frequency, recency_days / 7.0, age_days / 7.0 from intermediate.int_customer_snapshots
        where snapshot_date = '2017-06-30' and is_buyer
    """)  # fmt: skip
    x, recency, age = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    n, weeks = r + x, 184 / 7
    left = (age + alpha) / (age + alpha + weeks)
    orders = (a + b + x - 1) / (a - 1) * (1 - left**n * hyp2f1(n, b + x, a + b + x - 1, weeks / (age + alpha + weeks)))
    orders /= 1 + np.where(x > 0, a / np.maximum(b + x - 1, b) * ((alpha + age) / (alpha + recency)) ** n, 0)
    assert orders.sum() == pytest.approx(64_134.7, abs=0.5)
    assert orders.sum() == pytest.approx(63_772, rel=0.05)
    backtests = published(books, """
        select measure, actual, abs(bias_rate) < 0.05 from quality.ltv_backtest
        where snapshot_date = '2017-06-30' and horizon_days = 180 and dimension = 'all' order by measure desc
    """)  # fmt: skip
    assert backtests == [("orders", 62_350, True), ("net_revenue", Decimal("2267372.52"), True)]
