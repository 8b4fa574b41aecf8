"""The atlas: what it says, that data can't do anything on it, and that it works in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from made_up_publication import HOSTILE, publish_nothing, publish_segments
from orchestration.atlas import page as atlas_page
from orchestration.atlas import sections, write
from orchestration.atlas.blocks import MINUS, NOTHING, Chart, Column, Table, escaped, shown
from orchestration.atlas.reader import opened
from orchestration.atlas.sections import overview
from orchestration.errors import StrataError

CHROMIUM = shutil.which("chromium")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no chromium is installed (Debian: apt-get install chromium)")
STYLE = (atlas_page.FOLDER / "atlas.css").read_text()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A publication of 30 segments with hostile labels."""
    return publish_segments(tmp_path_factory.mktemp("shop") / "strata.duckdb", 30)


@pytest.fixture(scope="module")
def written(shop: Path) -> Path:
    """Its page."""
    write(shop, shop.with_name("atlas.html"))
    return shop.with_name("atlas.html")


# What it says


def test_the_same_publication_gives_the_same_page(shop: Path, written: Path, tmp_path: Path) -> None:
    write(shop, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == written.read_bytes()


def test_a_shop_without_anything_gets_a_sentence_for_everything(tmp_path: Path) -> None:
    write(publish_nothing(tmp_path / "strata.duckdb"), tmp_path / "atlas.html")
    html = (tmp_path / "atlas.html").read_text()
    assert "<figure" not in html
    assert "<tbody" not in html
    empty = re.findall(r'<p class="empty">(.*?)</p>', html)
    assert len(empty) > 15
    assert all(sentence.endswith(".") for sentence in empty)


def key_figures(tmp_path: Path, first_day: str) -> tuple[dict[str, list[str]], str]:
    """The words of each tile of a shop whose data begins on that day, and the page."""
    with duckdb.connect(str(publish_nothing(tmp_path / "strata.duckdb"))) as db:
        db.execute("""
            insert into marts.calendar by name
                select cast(day as date) as calendar_date, calendar_date = last_day(calendar_date) as is_month_end,
                    calendar_date in ('2024-12-31', '2025-12-31', '2026-01-10') as is_snapshot
                from range(cast($first_day as date), date '2026-01-11', interval 1 day) as days (day)
        """, {"first_day": first_day})  # fmt: skip
        db.execute("""
            insert into marts.customer_snapshots by name
                select * from (values
                    (date '2024-12-31', 'a', true, 1, 1, 10.00), (date '2025-12-31', 'a', true, 2, 1, 30.00),
                    (date '2025-12-31', 'b', true, 1, 1, 10.00), (date '2026-01-10', 'a', true, 2, 0, 20.00),
                    (date '2026-01-10', 'b', true, 3, 3, 20.00), (date '2026-01-10', 'c', true, 1, 1, 10.00),
                    (date '2026-01-10', 'd', true, 1, 1, 10.00), (date '2026-01-10', 'e', false, 0, 0, null)
                ) as rows (snapshot_date, customer_id, is_buyer, orders, orders_365d, predicted_ltv_365d);
            insert into marts.revenue_entries by name
                select * from (values
                    (date '2024-03-01', date '2024-03-01', 100.00), (date '2025-06-01', date '2025-06-01', 60.00),
                    (date '2025-12-20', date '2026-01-05', -10.00), (date '2025-01-10', date '2025-01-10', 15.00)
                ) as rows (event_date, received_date, net_revenue);
            update quality.publication set
                predicted_ltv_365d = 60, predicted_ltv_365d_low = 40, predicted_ltv_365d_high = 85,
                is_ltv_backtested = false;
        """)
    write(tmp_path / "strata.duckdb", tmp_path / "atlas.html")
    html = (tmp_path / "atlas.html").read_text()
    tiles = dict(re.findall(r'<div class="tile">\n<h3>(.*?)</h3>(.*?)</div>', html, re.DOTALL))
    return {title: re.sub(r"<[^>]*>|\s+", " ", tile).split() for title, tile in tiles.items()}, html


def test_key_figures_are_compared_with_the_month_end_and_a_year_before(tmp_path: Path) -> None:
    figures, html = key_figures(tmp_path, "2024-01-02")  # 365 days up to the end of 2024
    since, before = ["since", "2025-12-31"], ["since", "2024-12-31"]
    assert figures["Buyers"] == ["4", "+100.0", "%", *since, "+300.0", "%", *before]
    assert figures["Active buyers, 365 days"] == ["3", "+50.0", "%", *since, "+200.0", "%", *before]
    # The refund was posted after the month-end; what was sold on the 366th day before counts no more.
    assert figures["Net revenue, 365 days"][:10] == [
        *("50", "EUR", MINUS + "33.3", "%", *since, MINUS + "50.0", "%", *before)
    ]  # fmt: skip
    assert figures["Buyers who bought again"] == ["50.0", "%", "0.0", "points", *since, "+50.0", "points", *before]
    assert figures["Predicted LTV, 365 days"][:2] == ["60", "EUR"]
    assert "40 to 85" in " ".join(figures["Predicted LTV, 365 days"])
    assert figures["Predicted LTV, 365 days"][-3:] == ["not", "back-tested", "yet"]
    assert "Only the number of buyers is compared" not in html


def test_with_a_day_after_less_than_a_year_of_data_only_buyers_are_compared(tmp_path: Path) -> None:
    figures, html = key_figures(tmp_path, "2024-01-03")
    since, before = ["since", "2025-12-31"], ["since", "2024-12-31"]
    assert figures["Buyers"] == ["4", "+100.0", "%", *since, "+300.0", "%", *before]
    assert figures["Active buyers, 365 days"] == ["3", "+50.0", "%", *since, NOTHING, *before]
    assert figures["Net revenue, 365 days"][:9] == ["50", "EUR", MINUS + "33.3", "%", *since, NOTHING, *before]
    assert figures["Buyers who bought again"] == ["50.0", "%", "0.0", "points", *since, NOTHING, *before]
    assert figures["Predicted LTV, 365 days"][6:13] == ["+50.0", "%", *since, NOTHING, *before]
    assert "Only the number of buyers is compared with 2024-12-31: the data begins on 2024-01-03" in html


def test_segments_grow_by_what_their_buyers_are_worth(tmp_path: Path) -> None:
    with duckdb.connect(str(publish_nothing(tmp_path / "strata.duckdb"))) as db:
        db.execute("""
            insert into marts.calendar by name
                select date '2025-09-30' as calendar_date, true as is_month_end, true as is_snapshot;
            create temp table segments as
                select * from (values
                    ('visitors', 100, 900, null, null), ('away', 100, 150, 500.00, 480.00),
                    ('back', 60, 50, 100.00, 130.00), ('bought', 50, 60, null, 70.00)
                ) as rows (micro_segment, customers_before, customers, value_before, value);
            insert into marts.micro_segments by name
                select micro_segment as micro_segment_id, micro_segment, true as is_current, customers,
                    value as predicted_ltv_365d
                from segments;
            insert into marts.micro_segment_snapshots by name
                select micro_segment as micro_segment_id, micro_segment, date '2025-09-30' as snapshot_date,
                    customers_before as customers, value_before as predicted_ltv_365d
                from segments;
        """)
    with opened(tmp_path / "strata.duckdb") as published:
        growing = published.rows(overview.GROWING)
    assert [(segment["label"], added, customers) for segment, added, customers, _ in growing] == [
        ("bought", 70, 10),
        ("back", 30, -10),
    ]


def test_flows_are_drawn_by_value(tmp_path: Path) -> None:
    with duckdb.connect(str(publish_nothing(tmp_path / "strata.duckdb"))) as db:
        db.execute("""
            insert into marts.segment_migrations by name
                select 'month' as period, date '2025-12-31' as snapshot_date,
                    date '2025-11-30' as previous_snapshot_date, true as is_month_end,
                    'behaviour' as step, 'buying_stage' as cause, 'here' as from_micro_segment,
                    to_micro_segment, customers, value as predicted_ltv_365d_before, 0 as predicted_ltv_365d_after
                from (
                    select 'visitors' as to_micro_segment, 900 as customers, 0 as value
                    union all
                    select 'buyers ' || number, 10, 100 from range(24) as numbers (number)
                ) as moves
        """)
    write(tmp_path / "strata.duckdb", tmp_path / "atlas.html")
    html = (tmp_path / "atlas.html").read_text()
    assert "highest predicted LTV, 240 customers. In all, 1,140 moved, came or left, 900 of them without" in html


def test_a_section_is_one_file(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [module.TITLE for module in atlas_page.discover()]
    (tmp_path / "campaigns.py").write_text(
        "from orchestration.atlas.blocks import Column, Table\n"
        "ORDER, TITLE = 45, 'Campaigns'\n"
        "def blocks(published):\n"
        "    rows = published.rows('select audience_id, customers from marts.audiences order by audience_id')\n"
        "    return [Table('Sent', (Column('Id'), Column('People', 'count')), rows, 'None.')]\n"
    )
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path)])
    with opened(shop) as published:
        html = atlas_page.render(published)
    assert re.findall('<section id="(.*?)"', html) == [
        *("overview", "segments", "movement", "audiences", "campaigns", "value", "trust")
    ]
    assert before == ["Overview", "Segments", "Movement", "Audiences", "Value", "Trust"]


def test_checks_are_shown_where_there_are_some(tmp_path: Path) -> None:
    with duckdb.connect(str(publish_nothing(tmp_path / "strata.duckdb"))) as db:
        db.execute("""
            insert into quality.checks by name
                select 'segment_drift' as check_name, 'Companies' as subject, 0.31 as measured, 0.1 as warn_level,
                    unnest(['pass', 'warn', 'warn']) as status, 'Sizes moved.' as explanation, 'Drift.' as description
        """)
    write(tmp_path / "strata.duckdb", tmp_path / "atlas.html")
    html = (tmp_path / "atlas.html").read_text()
    assert "7 tests and 1 checks passed" in html
    assert "2 checks with a warning" in html
    assert html.index(">warn<") < html.index(">pass<")


def test_back_tests_are_of_fitted_models_only(tmp_path: Path) -> None:
    with duckdb.connect(str(publish_nothing(tmp_path / "strata.duckdb"))) as db:
        db.execute("""
            insert into quality.ltv_backtest by name
                select snapshot_date, horizon_days, dimension, '1' as dimension_value, 'net_revenue' as measure,
                    10 as buyers, buyers_modelled, 100 as predicted, 90 as actual
                from (values
                    (date '2025-01-31', 90, 0), (date '2025-02-28', 90, 10), (date '2025-03-31', 90, 0),
                    (date '2025-01-31', 365, 0)
                ) as days (snapshot_date, horizon_days, buyers_modelled)
                cross join (values ('all'), ('decile')) as dimensions (dimension)
        """)
    write(tmp_path / "strata.duckdb", tmp_path / "atlas.html")
    html = (tmp_path / "atlas.html").read_text()
    assert "2025-02-28" in html
    assert "2025-01-31" not in html
    assert "2025-03-31" not in html
    assert html.count("No prediction of a fitted model over 365 days has come due yet.") == 2
    assert "fitted model over 90 days" not in html


def test_what_cannot_be_read_is_named_and_leaves_the_old_page(tmp_path: Path) -> None:
    target = tmp_path / "atlas.html"
    target.write_text("old")
    with pytest.raises(StrataError, match=r"there is no publication .*make refresh"):
        write(tmp_path / "strata.duckdb", target)
    duckdb.connect(str(tmp_path / "strata.duckdb")).close()
    with pytest.raises(StrataError, match=r"can't be shown.*\n.*make refresh"):
        write(tmp_path / "strata.duckdb", target)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["atlas.html", "strata.duckdb"]
    assert target.read_text() == "old"


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (1234567, "money", "1,234,567"),
        (-0.0001, "rate_change", "0.0\N{NO-BREAK SPACE}%"),
        (-0.0432, "rate_change", MINUS + "4.3\N{NO-BREAK SPACE}%"),
        (12, "change", "+12"),
        (None, "count", NOTHING),
        ({"value": None, "low": None, "high": None}, "money", NOTHING),
        ({"value": 1500, "low": 10, "high": 2000}, "money", "1,500"),
        ("2025-01", "text", "2025-01"),
    ],
)
def test_values_are_written_as_people_read_them(value: Any, kind: str, text: str) -> None:
    assert shown(value, kind) == text


def test_bars_are_drawn_to_the_longest() -> None:
    table = Table(
        "", (Column("a", "count", has_bar=True), Column("b", "rate", has_bar=True)), [(5, 0.4), (20, None)], ""
    )
    assert [[cell.bar for cell in row] for row in table.cells()] == [[25.0, 40.0], [100.0, None]]


# What data can't do


def test_plotly_gets_no_mark_up_from_data() -> None:
    figure = {"labels": ["<b>&amp;</b>"], "text": [["<a href='x'>"]], "hovertemplate": "%{label}<br>"}
    assert escaped([figure]) == [
        {"labels": ["&lt;b&gt;&amp;amp;&lt;/b&gt;"], "text": [["&lt;a href='x'&gt;"]], "hovertemplate": "%{label}<br>"}
    ]


def test_a_page_holds_no_mark_up_from_data(written: Path) -> None:
    html = written.read_text()
    assert "&lt;script&gt;document.title" in html
    assert "<script>document.title" not in html
    assert "<img" not in html.split("</style>")[1].split("<script>/*!")[0]
    assert "{{ 7*7 }} &amp;amp; &lt;b&gt;B&lt;/b&gt; %{label}" in html


def test_a_trace_type_that_cannot_be_drawn_is_named() -> None:
    with pytest.raises(ValueError, match=r"can't draw choropleth: add it to plotly/traces\.js, run make plotly"):
        Chart("Places", "", [{"type": "bar"}, {"type": "choropleth"}], "None.")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_plotly_is_what_its_sources_build(tmp_path: Path) -> None:
    here = Path(atlas_page.__file__).parent / "plotly"
    built = shutil.copytree(here, tmp_path / "plotly")
    (built / "plotly.min.js").unlink()
    for command in ("ci --ignore-scripts --no-audit --no-fund", "run build"):
        subprocess.run(["npm", *command.split()], cwd=built, check=True)
    assert (built / "plotly.min.js").read_bytes() == (here / "plotly.min.js").read_bytes()


def contrast(one: str, two: str) -> float:
    """Contrast ratio of two colours as WCAG 2 defines it."""

    def luminance(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(one), luminance(two)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_apart(theme: int) -> None:
    colors = dict(re.findall(r"--([\w-]+): (#\w{6})", re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[theme]))
    for ground in ("ground", "surface"):
        for text in ("ink", "muted", "accent", "good", "warning", "bad"):
            assert contrast(colors[text], colors[ground]) >= 4.5, (text, ground)
        for mark in ("series-1", "series-2", "series-3", "focus"):
            assert contrast(colors[mark], colors[ground]) >= 3, (mark, ground)
    assert contrast(colors["ink"], colors["bar-color"]) >= 4.5


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium, without a window."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page in a window of its own. Afterwards: nothing else was asked for, and nothing went wrong."""
    faults: list[str] = []
    pages: list[Page] = []

    def open_page(file: Path, *, width: int = 1440, height: int = 900, **options: Any) -> Page:
        page = browser.new_page(viewport={"width": width, "height": height}, **options)
        pages.append(page)
        address = file.as_uri()

        def judge(route: Any) -> None:
            if route.request.url.split("#")[0] == address:
                route.continue_()
            else:
                faults.append(f"asked for {route.request.url}")
                route.abort()

        page.route("**/*", judge)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None
        )
        page.goto(address)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert faults == []


def see_all(page: Page) -> None:
    """Scroll to every chart, so that it is drawn."""
    for figure in page.locator("main figure.chart").all():
        figure.scroll_into_view_if_needed()
        expect(figure.locator(".plot[data-drawn] svg").first).to_be_visible()


@needs_chromium
def test_it_shows_in_three_seconds_and_eight_megabytes(
    written: Path, browser: Browser, visit: Callable[..., Page]
) -> None:
    assert written.stat().st_size < 8e6
    see_all(visit(written))
    # The best of three, so that a busy machine doesn't fail the test.
    assert min(seconds_to_first_chart(browser, written) for _ in range(3)) < 3


def seconds_to_first_chart(browser: Browser, file: Path) -> float:
    """Seconds from asking for the page until its first chart is drawn."""
    with browser.new_page() as page:
        start = time.perf_counter()
        page.goto(file.as_uri(), wait_until="commit")
        # Not by `expect`: what it would say of a failure costs the page's thread a second.
        page.locator("#overview .plot .slice").first.wait_for(timeout=30_000)
        return time.perf_counter() - start


@needs_chromium
def test_a_click_drills_down_and_opens_a_segment(written: Path, visit: Callable[..., Page]) -> None:
    page = visit(written)
    slices = page.locator("#overview .plot .slice")
    expect(slices).to_have_count(34)
    slices.filter(has_text="onerror").first.click(position={"x": 30, "y": 8})
    expect(slices).to_have_count(11)
    expect(page.locator("#overview .pathbar").first).to_be_visible()
    slices.filter(has_text="group 28").click()
    card = page.get_by_role("dialog")
    expect(card.get_by_role("heading", level=2)).to_have_text(f"{HOSTILE[1]} / group 28")
    expect(card.locator(".plot svg.main-svg").first).to_be_visible()
    card.get_by_role("table").get_by_role("link").first.click()
    expect(card.get_by_role("heading", level=2)).not_to_have_text(f"{HOSTILE[1]} / group 28")
    card.get_by_role("button", name="Close").click()
    expect(card).to_be_hidden()


@needs_chromium
def test_a_keyboard_is_enough(written: Path, visit: Callable[..., Page]) -> None:
    page = visit(written)
    table = page.locator("#segments .block").filter(has=page.get_by_role("heading", name="All segments"))
    page.get_by_label("Search segments").focus()
    page.keyboard.type("onerror 28")
    expect(table.locator("tbody tr:visible")).to_have_count(1)
    expect(table.get_by_role("status")).to_have_text("1 of 1 rows")
    table.get_by_role("link", name="group 28").focus()
    page.keyboard.press("Enter")
    card = page.get_by_role("dialog")
    expect(card).to_be_visible()
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    assert page.evaluate("document.activeElement.textContent") == f"{HOSTILE[1]} / group 28"
    assert "#segment" not in page.url

    page.get_by_label("Search segments").fill("")
    heading = table.get_by_role("columnheader", name=re.compile("^Predicted LTV"))
    heading.get_by_role("button").focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for order in ("descending", "ascending"):
        page.keyboard.press("Enter")
        expect(heading).to_have_attribute("aria-sort", order)
        found = table.locator("tbody tr:visible th").all_inner_texts()
        numbers = [int(text.rsplit(maxsplit=1)[1]) for text in found]
        assert numbers == sorted(range(30), reverse=order == "descending")[:25]
    table.get_by_role("button", name="Show all").press("Enter")
    expect(table.locator("tbody tr:visible")).to_have_count(30)


@needs_chromium
def test_hostile_text_stays_text(written: Path, visit: Callable[..., Page]) -> None:
    page = visit(written)
    see_all(page)
    for label in HOSTILE:
        expect(page.locator("#overview .plot .slice", has_text=label).first).to_be_visible()
        expect(page.locator("#audiences td, #audiences th", has_text=label).first).to_be_visible()
    page.evaluate("location.hash = document.querySelector('template').dataset.address")
    expect(page.get_by_role("dialog").get_by_role("rowheader", name=f"product: {HOSTILE[0]}")).to_be_visible()
    assert page.title() == "made_up, 2026-01-10 · Strata atlas"
    assert page.locator("img, b, main script:not([type='application/json'])").count() == 0


@needs_chromium
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_it_fits_in_light_and_dark(written: Path, visit: Callable[..., Page], theme: str, width: int) -> None:
    page = visit(written, width=width, height=844, color_scheme=theme)
    see_all(page)
    page.evaluate("location.hash = document.querySelector('template').dataset.address")
    expect(page.get_by_role("dialog").locator(".plot svg.main-svg").first).to_be_visible()
    for element in ("html", "dialog"):
        assert page.evaluate(f"document.querySelector('{element}').scrollWidth") <= width
    assert page.evaluate("document.querySelector('nav ul').scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 200) == (theme == "dark")


@needs_chromium
def test_charts_follow_a_change_of_theme(written: Path, visit: Callable[..., Page]) -> None:
    page = visit(written, color_scheme="light")
    tile = page.locator("#overview .plot .slice path").nth(1)
    before = tile.get_attribute("style")
    page.emulate_media(color_scheme="dark")
    expect(tile).not_to_have_attribute("style", before or "")


@needs_chromium
def test_a_shop_with_thousands_of_segments_opens(tmp_path: Path, visit: Callable[..., Page]) -> None:
    write(publish_segments(tmp_path / "strata.duckdb", 5000), tmp_path / "atlas.html")
    page = visit(tmp_path / "atlas.html")
    expect(page.locator("#overview .plot .slice").first).to_be_visible()
    page.get_by_label("Search segments").fill("group 4321")
    found = page.locator("#segments tbody tr:visible")
    expect(found).to_have_count(1)
    found.get_by_role("link").click()
    expect(page.get_by_role("dialog")).to_contain_text("and group = 4321")
