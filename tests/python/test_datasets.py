"""The import: what datasets/*.sql make of their sources, what is written, and what is not written again."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from orchestration import datasets
from orchestration.check import check
from orchestration.datasets import DATASETS_DIR, describe, prepare
from orchestration.errors import StrataError
from orchestration.settings import Settings
from orchestration.sources import locate_source, match_columns

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
NULL_COLUMNS = """
    cast(null as varchar) as anonymous_id, cast(null as varchar) as previous_id, cast(null as varchar) as group_id,
    cast(null as varchar) as traits, cast(null as varchar) as context
"""


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """A datasets/ folder of the test's own; write a script into it by name."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    monkeypatch.setattr(datasets, "DATASETS_DIR", folder)

    def write(name: str, sql: str) -> None:
        (folder / f"{name}.sql").write_text(sql)

    return write


def run(home: Path, name: str, source: object = None, *, until: date | None = None, size=None, now: datetime = NOW):
    return prepare(
        Settings.of(name, home=home), source=str(source) if source else None, size=size, until=until, now=now
    )


def query(home: Path, name: str, sql: str) -> list[tuple]:
    """Rows of `sql` over `raw`, all messages that were written."""
    files = [str(path) for path in (home / "raw" / name / "events").glob("*/*.parquet")]
    with duckdb.connect() as db:
        db.execute("set timezone = 'UTC'")
        raw = db.read_parquet(files, union_by_name=True, hive_partitioning=False)
        return raw.query("raw", sql).fetchall()


def orders(home: Path, name: str = "orders_csv") -> dict[str, dict]:
    """Properties of the order messages, by 'event order_id'."""
    rows = query(home, name, "select event, properties from raw where event like 'Order %'")
    return {f"{event} {json.loads(text)['order_id']}": json.loads(text) for event, text in rows}


def write_csv(path: Path, text: str, age: int = 0) -> Path:
    """A CSV file whose time of change is `age` seconds after an arbitrary moment."""
    path.write_text(text)
    os.utime(path, (1_700_000_000 + age, 1_700_000_000 + age))
    return path


TOTALS = """
    select
        count(*) filter (where event = 'Order Completed'),
        count(distinct user_id) filter (where event = 'Order Completed'),
        sum(cast(properties ->> '$.revenue' as decimal(18, 2))),
        count(*) - count(distinct message_id),
        count(received_at),
    from raw
"""


@pytest.mark.parametrize(
    ("name", "totals"),
    [("cdnow", (69_659, 23_570, Decimal("2500315.63"))), ("cdnow_sample", (6_919, 2_357, Decimal("244091.94")))],
)
def test_cdnow_reaches_raw_to_the_cent(tmp_path, name, totals):
    assert run(tmp_path, name).status == "imported"
    assert query(tmp_path, name, TOTALS) == [(*totals, 0, 0)]


def test_complete_journey_reaches_raw_to_the_cent_in_orders_and_in_lines(tmp_path):
    run(tmp_path, "complete_journey")
    assert query(tmp_path, "complete_journey", TOTALS) == [(155_848, 2_469, Decimal("4596039.58"), 0, 0)]
    different = """
        select count(*)
        from (
            select
                cast(properties ->> '$.revenue' as decimal(18, 2)) as revenue,
                list_sum(cast(json_extract_string(properties, '$.products[*].price') as decimal(18, 2)[])) as lines,
            from raw
            where event = 'Order Completed'
        )
        where revenue <> lines
    """
    assert query(tmp_path, "complete_journey", different) == [(0,)]
    kinds = "select coalesce(event, type) as kind, count(*) from raw group by kind order by kind"
    assert query(tmp_path, "complete_journey", kinds) == [
        ("Coupon Applied", 2_102), ("Mail Delivered", 6_589), ("Order Completed", 155_848), ("identify", 801),
    ]  # fmt: skip
    reference = str(tmp_path / "raw/complete_journey/products.parquet")
    costs = duckdb.execute("select count(*), count(unit_cost) from read_parquet(?)", [reference]).fetchall()
    assert costs == [(92_331, 0)]


@pytest.mark.slow
def test_order_lines_of_a_plain_table_add_up_to_the_cent(tmp_path):
    """The generic reader, given nothing but the file, finds what the data set's own script finds."""
    source = Path(locate_source(describe("complete_journey").source).location) / "transactions.parquet"
    prepared = run(tmp_path, "orders_csv", source)
    assert ("net_amount", "sales_value") in prepared.columns
    assert (None, "retail_disc") in prepared.columns
    assert query(tmp_path, "orders_csv", TOTALS) == [(155_848, 2_469, Decimal("4596039.58"), 0, 0)]


def test_every_script_describes_itself_and_brings_only_known_headers():
    headers = [describe(path.stem) for path in DATASETS_DIR.glob("*.sql")]
    names = [header.name for header in headers]
    assert {"cdnow", "cdnow_sample", "complete_journey", "orders_csv", "segment_warehouse"} <= set(names)
    assert all(header.description for header in headers)
    assert describe("cdnow").variables == {"business_timezone": "UTC", "reporting_currency": "USD"}
    assert "run_from" not in datasets.business_variables({})


def test_unknown_names_and_headers_are_refused(scripts):
    scripts("shop", "-- strata.descripton: a typing error\nselect 1;\n")
    with pytest.raises(StrataError, match=r"unknown header strata\.descripton"):
        describe("shop")
    with pytest.raises(StrataError, match="There are: shop"):
        describe("shoop")


# ---- what is written, and what is not written again ----


def test_the_same_import_again_writes_nothing_and_the_same_messages_give_the_same_bytes(tmp_path):
    def contents(home: Path) -> list[tuple[str, str]]:
        files = sorted((home / "raw").rglob("*.parquet"))
        return [(str(path.relative_to(home)), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]

    assert run(tmp_path / "one", "cdnow_sample").files == 545
    before = contents(tmp_path / "one")
    assert run(tmp_path / "one", "cdnow_sample").status == "unchanged"
    assert contents(tmp_path / "one") == before
    run(tmp_path / "two", "cdnow_sample")
    assert contents(tmp_path / "two") == before


def test_a_later_until_only_adds_what_was_received_since(tmp_path):
    assert run(tmp_path, "cdnow_sample", until=date(1997, 1, 10)).messages > 0
    before = set((tmp_path / "raw").rglob("*.parquet"))
    run(tmp_path, "cdnow_sample", until=date(1997, 1, 12))
    added = set((tmp_path / "raw").rglob("*.parquet")) - before
    assert sorted(path.parent.name for path in added) == ["received_date=1997-01-11", "received_date=1997-01-12"]
    run(tmp_path, "cdnow_sample")
    assert query(tmp_path, "cdnow_sample", TOTALS) == [(6_919, 2_357, Decimal("244091.94"), 0, 0)]
    with pytest.raises(StrataError, match="no messages up to 1990-01-01"):
        run(tmp_path / "early", "cdnow_sample", until=date(1990, 1, 1))


def test_a_newer_export_adds_its_new_rows_as_received_now(tmp_path, scripts):
    scripts(
        "shop",
        f"""
        -- strata.needs_source: true
        create view events as
        select
            id as message_id, 'track' as type, 'Order Completed' as event, customer as user_id, {NULL_COLUMNS},
            cast(day as date) as timestamp, cast(null as timestamp) as received_at,
            {{order_id: id, revenue: amount}} as properties,
        from read_csv(getvariable('source'));
        """.replace("\n        --", "\n--").lstrip(),
    )
    source = write_csv(tmp_path / "orders.csv", "id,customer,day,amount\n1,a,2024-01-01,5\n2,a,2024-01-02,7\n")
    assert run(tmp_path, "shop", source).messages == 2
    write_csv(source, "id,customer,day,amount\n1,a,2024-01-01,5\n2,a,2024-01-02,7\n3,b,2024-01-02,9\n", age=60)
    assert run(tmp_path, "shop", source).messages == 1
    assert query(tmp_path, "shop", "select message_id, received_at, properties from raw order by message_id") == [
        ("1", None, '{"order_id":1,"revenue":5}'),
        ("2", None, '{"order_id":2,"revenue":7}'),
        ("3", NOW.replace(tzinfo=None), '{"order_id":3,"revenue":9}'),
    ]
    assert (tmp_path / "raw/shop/events/received_date=2024-06-01").is_dir()
    os.utime(source)
    assert run(tmp_path, "shop", source).messages == 0


def test_unusable_dates_are_kept_apart_and_not_lost(tmp_path, scripts):
    scripts(
        "shop",
        f"""
        create table events as
        select
            text as message_id, 'page' as type, cast(null as varchar) as event, 'a' as user_id, {NULL_COLUMNS},
            text as timestamp, cast(null as varchar) as received_at, cast(null as varchar) as properties,
        from (values ('2024-01-01T23:30:00-05:00'), ('1970-01-01'), ('soon')) as texts (text);
        create table products as select 7 as product_id, 'Lamp' as product_name, 'blue' as colour;
        """,
    )
    run(tmp_path, "shop")
    folders = {path.parent.name: path for path in (tmp_path / "raw/shop/events").rglob("*.parquet")}
    assert sorted(folders) == ["received_date=2024-01-02", "received_date=unknown"]
    assert query(tmp_path, "shop", "select count(*) from raw") == [(3,)]
    products = duckdb.execute("from read_parquet(?)", [str(tmp_path / "raw/shop/products.parquet")])
    assert [column[0] for column in products.description] == [
        "product_id", "product_name", "category", "brand", "unit_cost", "colour",
    ]  # fmt: skip
    assert products.fetchall() == [("7", "Lamp", None, None, None, "blue")]


def test_a_killed_import_is_undone_by_the_next(tmp_path, monkeypatch):
    """Killed between two renames: the files that were moved are of an import that was never recorded."""
    moved = 0
    replace = os.replace

    def dies(source, target):
        nonlocal moved
        moved += 1
        if moved > 3:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(datasets.os, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "cdnow_sample")
    monkeypatch.undo()
    assert len(list((tmp_path / "raw").rglob("*.parquet"))) == 3
    assert run(tmp_path, "cdnow_sample", until=date(1997, 6, 30)).status == "imported"
    ids = "select count(*) - count(distinct message_id), count(received_at) from raw"
    assert query(tmp_path, "cdnow_sample", ids) == [(0, 0)]
    assert not list((tmp_path / "raw").rglob(".import*"))
    assert not list((tmp_path / ".duckdb_tmp").iterdir())


def test_a_failing_script_changes_nothing_and_says_where(tmp_path, scripts):
    scripts("broken", "create table events as select nothing from nowhere;")
    with pytest.raises(StrataError, match=r"datasets/broken\.sql: .*nowhere"):
        run(tmp_path, "broken")
    scripts("short", "create table events as select 1 as message_id;")
    with pytest.raises(StrataError, match="events lacks type, event, anonymous_id"):
        run(tmp_path, "short")
    scripts(
        "empty",
        f"""
        create table events as
        select
            '' as message_id, '' as type, '' as event, '' as user_id, {NULL_COLUMNS}, now() as timestamp,
            now() as received_at, '' as properties,
        limit 0
        """,
    )
    with pytest.raises(StrataError, match="events is empty"):
        run(tmp_path, "empty")
    scripts("nothing", "select 1;")
    with pytest.raises(StrataError, match="no relation `events`"):
        run(tmp_path, "nothing")
    assert not (tmp_path / "raw").exists()


def test_what_the_user_asks_for_wrongly_is_refused_with_what_to_do(tmp_path, scripts):
    scripts("made", f"-- strata.size: 5\n{MADE}")
    assert run(tmp_path, "made").messages == 5
    with pytest.raises(StrataError, match="make clean DATASET=made"):
        run(tmp_path, "made", size=6)
    with pytest.raises(StrataError, match="takes no SOURCE"):
        run(tmp_path, "made", "file.csv")
    scripts("plain", f"-- strata.needs_source: true\n{MADE}")
    with pytest.raises(StrataError, match="needs SOURCE"):
        run(tmp_path, "plain")
    with pytest.raises(StrataError, match="leave SIZE=6 out"):
        run(tmp_path, "plain", tmp_path, size=6)
    with pytest.raises(StrataError, match="holds no file"):
        run(tmp_path, "plain", tmp_path / "nowhere.csv")
    scripts("packaged", f"-- strata.source: package:no-such-package:data\n{MADE}")
    with pytest.raises(StrataError, match="make setup"):
        run(tmp_path, "packaged")


MADE = f"""
create table events as
select
    'm' || number as message_id, 'page' as type, cast(null as varchar) as event, 'a' as user_id, {NULL_COLUMNS},
    timestamp '2024-01-01' as timestamp, cast(null as timestamp) as received_at, cast(null as varchar) as properties,
from range(coalesce(getvariable('size'), 1)) as numbers (number);
"""


def test_messages_that_a_user_put_there_need_no_script(tmp_path):
    folder = tmp_path / "raw/mine/events"
    with pytest.raises(StrataError, match="no dataset 'mine'"):
        run(tmp_path, "mine")
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text("{}\n")
    assert run(tmp_path, "mine").status == "nothing to import"


# ---- orders_csv ----


def test_customer_date_and_amount_are_enough(tmp_path):
    """Two rows of a customer and day are one order; what can't be read still reaches raw, as it was written."""
    source = write_csv(
        tmp_path / "sales.csv",
        'Customer,Date,Amount\nann,2024-01-05,"$1,234.50"\nann,2024-01-05,10\nben,,5\n,2024-02-02,7\n,2024-02-02,7\ncai,2024-02-03,n/a\n',
    )
    prepared = run(tmp_path, "orders_csv", source)
    assert {("customer_id", "Customer"), ("ordered_at", "Date"), ("net_amount", "Amount")} <= set(prepared.columns)
    rows = query(
        tmp_path,
        "orders_csv",
        "select user_id, timestamp, properties ->> '$.revenue', properties ->> '$.currency' from raw order by all",
    )
    assert rows == [
        ("ann", "2024-01-05 00:00:00.000000", "1244.5", "USD"),
        ("ben", None, "5.0", "USD"),
        ("cai", "2024-02-03 00:00:00.000000", "n/a", "USD"),
        (None, "2024-02-02 00:00:00.000000", "7.0", "USD"),
        (None, "2024-02-02 00:00:00.000000", "7.0", "USD"),
    ]


LINES = """Order-Nr.;order no;Customer No;Invoice Date;SKU;Description;Quantity;Price;Country;Status;Refund Amount
x;1;A;31/01/2024 8:26;s1;Lamp;2;12,50;Germany;paid;
x;1;A;31/01/2024 8:26;s2;Desk;1;1.100,00;Germany;paid;
x;2;B;01/02/2024 23:30;s1;Lamp;1;12,50;France;refunded;
x;3;B;02/02/2024 10:00;s2;Desk;-1;100,00;France;paid;
x;4;A;03/02/2024 10:00;s2;Desk;1;100,00;Germany;cancelled;
x;5;C;04/02/2024 10:00;s2;Desk;1;100,00;Germany;partially_refunded;25,00
x;;C;05/02/2024 10:00;s2;Desk;1;100,00;Germany;paid;
"""


def test_order_lines_become_orders_with_refunds_cancellations_and_returns(tmp_path):
    prepared = run(tmp_path, "orders_csv", write_csv(tmp_path / "lines.csv", LINES))
    found = orders(tmp_path)
    assert set(found) == {
        "Order Completed 1", "Order Completed 2", "Order Completed 4", "Order Completed 5", "Order Completed None",
        "Order Refunded 2", "Order Refunded 3", "Order Refunded 5", "Order Cancelled 4",
    }  # fmt: skip
    assert found["Order Completed 1"]["revenue"] == 1125
    lines = found["Order Completed 1"]["products"]
    read = [(line["product_id"], line["quantity"], line["price"]) for line in lines]
    assert read == [("s1", 2, 12.5), ("s2", 1, 1100)]
    assert "total" not in found["Order Refunded 2"]
    assert (found["Order Refunded 3"]["total"], found["Order Refunded 5"]["total"]) == (100, 25)
    countries = "select user_id, traits ->> '$.address.country' from raw where type = 'identify'"
    assert sorted(query(tmp_path, "orders_csv", countries)) == [("A", "Germany"), ("B", "France"), ("C", "Germany")]
    assert "Dates are written day first." in prepared.notes


def test_an_order_that_was_not_completed_is_left_out_until_it_is(tmp_path):
    def export(first: str, second: str) -> Path:
        rows = f"F1,ann,2024-01-25,100,{first}\nF2,bob,2024-01-25,50,{second}\nF3,cai,2024-01-26,20,paid\n"
        return write_csv(tmp_path / "o.csv", "order_id,customer_id,date,total,status\n" + rows, age=next(ages))

    ages = iter((0, 60, 120))
    said = run(tmp_path, "orders_csv", export("failed", "draft"))
    assert set(orders(tmp_path)) == {"Order Completed F3"}
    assert any(note.startswith("2 orders have a status that means they were not completed") for note in said.notes)
    run(tmp_path, "orders_csv", export("completed", "draft"))
    assert orders(tmp_path)["Order Completed F1"]["revenue"] == 100
    # What was an order before, and is none any more, is cancelled.
    run(tmp_path, "orders_csv", export("failed", "draft"))
    assert set(orders(tmp_path)) == {"Order Completed F1", "Order Completed F3", "Order Cancelled F1"}


def test_the_next_export_says_only_what_changed(tmp_path):
    source = write_csv(tmp_path / "lines.csv", LINES)
    run(tmp_path, "orders_csv", source)
    changed = LINES.replace("Lamp;2;", "Lamp;3;").replace("25,00\n", "40,00\n")
    write_csv(source, changed + "x;6;D;06/02/2024 9:00;s2;Desk;1;1,00;;paid;\n", age=60)
    assert run(tmp_path, "orders_csv", source).messages == 3
    news = """
        select event, properties ->> '$.order_id', coalesce(properties ->> '$.total', properties ->> '$.revenue')
        from raw
        where received_at is not null
        order by all
    """
    assert query(tmp_path, "orders_csv", news) == [
        ("Order Completed", "6", "1.0"),
        ("Order Refunded", "5", "15.0"),
        ("Order Updated", "1", "1137.5"),
    ]
    # An order that returns to an earlier state is a change too, and a refund that shrinks can't be taken back.
    write_csv(source, LINES, age=120)
    assert run(tmp_path, "orders_csv", source).messages == 1
    assert ("Order Updated", "1", "1125.0") in query(tmp_path, "orders_csv", news)


@pytest.mark.parametrize(
    ("text", "revenue"),
    [
        # the order's own total on each of its lines, with tax and shipping in it
        ("order_id,customer,date,item,total,tax,shipping\n1,a,2024-01-01,x,30,2,5\n1,a,2024-01-01,y,30,2,5\n", 23),
        # on the first line only
        ("order_id,customer,date,item,subtotal,price,quantity\n1,a,2024-01-01,x,30,10,2\n1,a,2024-01-01,y,,10,1\n", 30),
        # an amount per line
        ("order_id,customer,date,item,amount\n1,a,2024-01-01,x,10\n1,a,2024-01-01,y,20\n", 30),
        # price and quantity, less the discount
        ("order_id,customer,date,item,price,qty,discount\n1,a,2024-01-01,x,10,2,1\n1,a,2024-01-01,y,10,1,2\n", 27),
    ],
)  # fmt: skip
def test_money_counts_once_per_order_whatever_its_column_means(tmp_path, text, revenue):
    run(tmp_path, "orders_csv", write_csv(tmp_path / "orders.csv", text))
    assert orders(tmp_path)["Order Completed 1"]["revenue"] == revenue


@pytest.mark.parametrize(
    ("given", "timestamp"),
    [
        ("2024-01-31T10:00:00Z", "2024-01-31 10:00:00.000000"),
        ("2024-01-31 10:00:00 -0500", "2024-01-31 15:00:00.000000"),
        ("2024-01-31 10:00", "2024-01-31 10:00:00.000000"),
        ("31.01.2024", "2024-01-31 00:00:00.000000"),
        ("1/31/24 8:05 PM", "2024-01-31 20:05:00.000000"),
        ("20240131", "2024-01-31 00:00:00.000000"),
        ("1706695200", "2024-01-31 10:00:00.000000"),
        ("31 Jan 2024", "2024-01-31 00:00:00.000000"),
        ("January 31 2024", "2024-01-31 00:00:00.000000"),
        ("yesterday", "yesterday"),
    ],
)
def test_dates_are_read_as_people_write_them(tmp_path, given, timestamp):
    run(tmp_path, "orders_csv", write_csv(tmp_path / "o.csv", f"customer,date,amount\na,{given},1\nb,,2\n"))
    assert query(tmp_path, "orders_csv", "select timestamp from raw where user_id = 'a'") == [(timestamp,)]


def test_local_times_are_business_time(tmp_path, scripts):
    """A day without a time must not slip into the day before, west of Greenwich."""
    folder = Path(__file__).resolve().parents[2] / "datasets"
    scripts("shop", "-- strata.business_timezone: America/New_York\n" + (folder / "orders_csv.sql").read_text())
    (datasets.DATASETS_DIR / "orders_csv_columns.csv").write_text((folder / "orders_csv_columns.csv").read_text())
    run(tmp_path, "shop", write_csv(tmp_path / "o.csv", "customer,date,amount\na,2024-07-01,1\n"))
    assert query(tmp_path, "shop", "select timestamp from raw") == [("2024-07-01 04:00:00.000000",)]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("id,buyer,when\n1,2,3\n", "no column for a date, an amount was recognised. The table has: id, buyer, when"),
        ("customer,date,amount\na,01/02/2024,5\n", r"day or month comes first \(01/02/2024\)"),
        ("customer,date,amount\na,13/02/2024,5\nb,02/13/2024,5\n", "day first .* and month first"),
        ("customer,date,amount\na,2024-01-01,\"5,5\"\nb,2024-01-01,5.5\n", "decimal comma .* and a decimal point"),
    ],
)  # fmt: skip
def test_what_only_the_user_can_tell_is_asked(tmp_path, text, error):
    with pytest.raises(StrataError, match=error):
        run(tmp_path, "orders_csv", write_csv(tmp_path / "o.csv", text))


def test_columns_are_recognised_whatever_their_case_and_separators():
    synonyms = [("customer", "customer_id"), ("customer", "client"), ("date", "date"), ("name", "client")]
    assert match_columns(["Client", "CUSTOMER id", "Date", "Größe"], synonyms) == [
        ("customer", "CUSTOMER id"), ("date", "Date"), ("name", "Client"), (None, "Größe"),
    ]  # fmt: skip


# ---- segment_warehouse ----


@pytest.fixture(params=["folder", "duckdb"])
def segment_tables(request, tmp_path):
    """The same five tables as a folder of CSV files and as a DuckDB file."""
    folder = tmp_path / "warehouse"
    folder.mkdir()
    own = "id,anonymous_id,user_id,timestamp,received_at"
    times = "2024-01-05 10:00:00+00,2024-01-05 10:00:02+00"
    (folder / "order_completed.csv").write_text(
        f"{own},event,event_text,context_campaign_name,context_user_agent,order_id,revenue,products,uuid_ts\n"
        f"m1,a1,u1,{times},order_completed,Order Completed,spring,Mozilla,o1,12.50,"
        '"[{""product_id"":""p1""}]",2024-01-06\n'
    )
    (folder / "identifies.csv").write_text(
        f"{own},email,first_name,address_postal_code,context_locale,context_traits_email\n"
        f"m2,a1,u1,{times},a@x.com,Ann,D-10115,en-US,a@x.com\n"
    )
    (folder / "tracks.csv").write_text(
        f"{own},event,event_text\n"
        f"m1,a1,u1,{times},order_completed,Order Completed\nm3,a1,u1,{times},email_marked_as_spam,\n"
    )
    (folder / "pages.csv").write_text(f"{own},name,path\nm4,a1,,nonsense,,Home,/\n")
    (folder / "users.csv").write_text("id,email\nu1,a@x.com\n")
    if request.param == "folder":
        return folder
    with duckdb.connect(str(tmp_path / "w.duckdb")) as db:
        for path in folder.glob("*.csv"):
            db.execute(f"create table {path.stem} as from read_csv('{path}', all_varchar = true)")
    return tmp_path / "w.duckdb"


def test_flattened_tables_become_messages_again(tmp_path, segment_tables):
    prepared = run(tmp_path, "segment_warehouse", segment_tables)
    columns = "message_id, type, event, user_id, timestamp, received_at, properties, traits, context"
    rows = query(tmp_path, "segment_warehouse", f"select {columns} from raw order by message_id")
    at, received = "2024-01-05 10:00:00.000000", "2024-01-05 10:00:02.000000"
    properties = {"order_id": "o1", "products": '[{"product_id":"p1"}]', "revenue": "12.50"}
    read = [tuple(json.loads(v) if v and v[0] == "{" else v for v in row) for row in rows]
    assert read == [
        ("m1", "track", "Order Completed", "u1", at, received, properties, None,
         {"userAgent": "Mozilla", "campaign": {"name": "spring"}}),
        ("m2", "identify", None, "u1", at, received, None,
         {"email": "a@x.com", "firstName": "Ann", "address": {"postalCode": "D-10115"}}, {"locale": "en-US"}),
        ("m3", "track", "Email Marked as Spam", "u1", at, received, None, None, None),
        ("m4", "page", None, None, "nonsense", None, {"name": "Home", "path": "/"}, None, None),
    ]  # fmt: skip
    assert "Table users holds no messages of its own and is left out (1 rows)." in prepared.notes


# ---- check ----


def test_check_reports_what_a_refresh_would_make_of_it_and_leaves_nothing(tmp_path):
    """A stand-in for staging: check's own part is the import, the questions, and that nothing stays."""
    source = write_csv(tmp_path / "o.csv", "customer,date,amount,colour\na,2024-01-31,5,red\nb,2024-05-01,7,red\n")
    homes = []

    def stage(settings: Settings, raw: str, variables: dict[str, str]) -> Path:
        homes.append(settings.home)
        assert len(list(Path(raw).rglob("*.parquet"))) == 2
        warehouse = settings.home / "staged.duckdb"
        with duckdb.connect(str(warehouse)) as db:
            db.execute(
                """
                create schema staging;
                create schema intermediate;
                create table staging.stg_messages as
                select
                    'm' || n as message_id, 'track' as type, 'Order Completed' as event,
                    cast(null as varchar) as anonymous_id, case when n < 8 then 'u' || n % 2 end as user_id,
                    date '2024-01-01' + cast(n * 20 as integer) as event_date, date '2024-07-01' as received_date,
                    case when n < 9 then 'accepted' when n = 9 then 'duplicate' else 'rejected' end as outcome,
                    case when n = 10 then 'bad timestamp' when n > 10 then 'currency with no rate' end as reject_reason,
                from range(13) as numbers (n);
                create table intermediate.int_order_entries as
                from (values
                    ('o1', 100.00, 0.00, 100.00, 'USD'),
                    ('o1', 0.00, 25.00, -25.00, 'USD'),
                    ('o2', 10.50, 0.00, 10.50, 'EUR')
                ) as entries (order_id, revenue, refunded_revenue, net_revenue, order_currency);
                """
            )
        return warehouse

    said: list[str] = []
    report = check(
        Settings.of("orders_csv", home=tmp_path / "project"),
        raw=None, source=str(source), size=None, now=NOW, stage=stage, say=said.append,
    )  # fmt: skip
    assert (report.messages, report.accepted, report.duplicates, report.rejected) == (13, 9, 1, 3)
    assert report.reasons == [("currency with no rate", 2, "m11"), ("bad timestamp", 1, "m10")]
    assert (report.customers, report.orders, report.orders_without_customer) == (2, 2, 1)
    assert (report.revenue, report.net_revenue) == (Decimal("110.50"), Decimal("85.50"))
    assert (report.first_event_date, report.last_event_date) == (date(2024, 1, 1), date(2024, 6, 9))
    for line in (
        "  amount -> net_amount",
        "  colour: not used",
        "  read 13 = accepted 9 + duplicates 1 + rejected 3",
        "  currency with no rate: 2 (one of them: m11)",
        "  order currencies: EUR, USD",
        "  revenue: 110.50, refunded 25.00, net 85.50",
    ):
        assert line in said
    warned = "\n".join(said[said.index("Warnings") :])
    assert "100% of 160 days of history were received on 2024-07-01" in warned
    assert "23.1% of the messages would be rejected" in warned
    assert "put a table exchange_rates" in warned
    assert "1 orders name no customer" in warned
    assert not (tmp_path / "project").exists()
    assert not homes[0].exists()
