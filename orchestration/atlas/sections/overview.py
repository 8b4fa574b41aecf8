"""The first screen: can the figures be trusted, how is the business doing, who moved, whom to act on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from textwrap import wrap
from typing import Any

from orchestration.atlas.blocks import Chart, Column, Grid, Status, Table, Text, Tile, Tiles, shown
from orchestration.atlas.reader import Publication

ORDER = 10
TITLE = "Overview"

KEY_FIGURES = """
    with days as (
        select period, snapshot_date
        from (values
            ('now', getvariable('as_of')), ('month', getvariable('month_end')), ('year', getvariable('year_before'))
        ) as day (period, snapshot_date)
    ),
    people as (
        select
            snapshot_date,
            count_if(is_buyer) as buyers,
            count_if(is_buyer and orders_365d > 0) as active_buyers,
            count_if(is_buyer and orders > 1) / nullif(count_if(is_buyer), 0) as repeat_share,
            sum(predicted_ltv_365d) as predicted_ltv
        from marts.customer_snapshots
        where snapshot_date in (getvariable('as_of'), getvariable('month_end'), getvariable('year_before'))
        group by snapshot_date
    ),
    -- As it stood in the books of the day.
    revenue as (
        select days.snapshot_date, coalesce(sum(entries.net_revenue), 0) as net_revenue
        from days
        left join marts.revenue_entries as entries
            on
                entries.received_date <= days.snapshot_date
                and entries.event_date between days.snapshot_date - 364 and days.snapshot_date
        where days.snapshot_date is not null
        group by days.snapshot_date
    ),
    figures as (
        unpivot (
            select
                days.period,
                cast(people.buyers as double) as buyers,
                cast(people.active_buyers as double) as active_buyers,
                cast(revenue.net_revenue as double) as net_revenue,
                people.repeat_share,
                cast(people.predicted_ltv as double) as predicted_ltv
            from days
            left join people on days.snapshot_date = people.snapshot_date
            left join revenue on days.snapshot_date = revenue.snapshot_date
        )
        on buyers, active_buyers, net_revenue, repeat_share, predicted_ltv
    ),
    compared as (
        select
            name as figure,
            max(value) filter (where period = 'now') as now,
            max(value) filter (where period = 'month') as month_end,
            max(value) filter (where period = 'year') as year_before
        from figures
        group by name
    )
    select
        figure,
        now,
        case when figure = 'repeat_share' then now - month_end else now / nullif(month_end, 0) - 1 end
            as since_month_end,
        case when figure = 'repeat_share' then now - year_before else now / nullif(year_before, 0) - 1 end
            as since_year_before
    from compared
"""
LTV_ESTIMATE = """
    select
        estimate(predicted_ltv_365d, predicted_ltv_365d_low, predicted_ltv_365d_high) as predicted_ltv,
        predicted_ltv_365d is null or is_ltv_backtested as is_ltv_backtested
    from quality.publication
"""
OPEN_LINES = (
    "select count(*) filter (where amount <> 0), count(*) from quality.revenue_reconciliation where line = 'difference'"
)
CHECKS = """
    select
        count(*) filter (where status = 'pass'),
        count(*) filter (where status = 'warn'),
        count(*) filter (where status = 'error')
    from quality.checks
"""

LARGEST_TILES = 300
TREEMAP = f"""
    with segments as (
        select
            *,
            segment(micro_segment_id, micro_segment).label as label,
            row_number() over (order by customers desc, micro_segment_id) <= {LARGEST_TILES} as is_shown
        from marts.micro_segments
        where is_current
    )
    select
        macro_segment,
        case when is_shown then micro_segment_id end as micro_segment_id,
        case when is_shown then max(label) else format('{{:,}} smaller segments', count(*)) end as label,
        cast(sum(customers) as bigint) as customers,
        cast(sum(predicted_ltv_365d) / sum(customers) as decimal(18, 2)) as predicted_ltv_per_customer
    from segments
    group by macro_segment, is_shown, case when is_shown then micro_segment_id end
    order by macro_segment, customers desc, micro_segment_id nulls last
"""
MACROS = """
    select macro_segment, customers, cast(predicted_ltv_365d / customers as decimal(18, 2))
    from marts.macro_segments
    where is_current
    order by customers desc, macro_segment
"""
EVERYBODY = """
    select cast(sum(customers) as bigint), cast(sum(predicted_ltv_365d) / sum(customers) as decimal(18, 2))
    from marts.macro_segments
    where is_current
"""
MOVES = """
    select
        segment(from_micro_segment_id, from_micro_segment),
        segment_beside(to_micro_segment_id, to_micro_segment, from_micro_segment),
        customers,
        greatest(predicted_ltv_365d_before, predicted_ltv_365d_after) as value_moved,
        cause_text(cause)
    from marts.segment_migrations
    where period = 'month' and is_latest and step = 'behaviour' and cause not in ('stayed', 'suppressed')
    order by value_moved desc, customers desc, from_micro_segment, to_micro_segment, cause
    limit 8
"""
SUPPRESSED = """
    select
        max(previous_snapshot_date),
        sum(customers) filter (where cause = 'suppressed' and to_micro_segment = '(not shown)')
    from marts.segment_migrations
    where period = 'month' and is_latest
"""
VALUABLE = """
    select
        segment(micro_segment_id, micro_segment),
        estimate(predicted_ltv_365d, predicted_ltv_365d_low, predicted_ltv_365d_high),
        email_contactable_customers,
        case when not is_ltv_backtested then 'not back-tested' end
    from marts.micro_segments
    where is_current and predicted_ltv_365d > 0
    order by predicted_ltv_365d desc, micro_segment_id
    limit 6
"""
AT_RISK = """
    select
        segment(segments.micro_segment_id, segments.micro_segment),
        cast(sum(customers.net_revenue_365d * customers.churn_risk) as decimal(18, 2)) as revenue_at_risk,
        revenue_at_risk / nullif(sum(customers.net_revenue_365d), 0) as at_risk_share,
        segments.email_contactable_customers
    from marts.customers as customers
    inner join marts.micro_segments as segments on customers.micro_segment_id = segments.micro_segment_id
    where customers.churn_risk is not null
    group by segments.micro_segment_id, segments.micro_segment, segments.email_contactable_customers
    having revenue_at_risk > 0
    order by revenue_at_risk desc, segments.micro_segment_id
    limit 6
"""
GROWING = """
    select
        segment(segments.micro_segment_id, segments.micro_segment),
        segments.predicted_ltv_365d - coalesce(before.predicted_ltv_365d, 0) as growth,
        segments.customers - before.customers,
        segments.email_contactable_customers
    from marts.micro_segments as segments
    inner join marts.micro_segment_snapshots as before on segments.micro_segment_id = before.micro_segment_id
    where
        segments.is_current and before.snapshot_date = getvariable('quarter_before') and growth > 0
    order by growth desc, segments.micro_segment_id
    limit 6
"""


def blocks(published: Publication) -> list[Any]:
    return [
        Status(list(_status(published))),
        Tiles(list(_tiles(published))),
        *_not_compared(published),
        Grid([_treemap(published), _moves(published)], is_uneven=True),
        Grid(_lists(published)),
    ]


def _status(published: Publication) -> Iterator[tuple[str, str]]:
    passed, warnings, errors = published.row(CHECKS) if published.has("quality.checks") else (0, 0, 0)
    yield f"{published.checks_passed or 0:,} tests and {passed:,} checks passed", "good"
    if warnings:
        yield f"{warnings:,} checks with a warning", "warning"
    if errors:
        yield f"{errors:,} checks failed", "bad"
    open_lines, currencies = published.row(OPEN_LINES)
    if open_lines:
        yield f"revenue not reconciled in {open_lines} of {currencies} currencies", "bad"
    elif currencies:
        yield "revenue reconciled with the messages", "good"
    else:
        yield "no revenue to reconcile", "warning"


def _tiles(published: Publication) -> Iterator[Tile]:
    found = {figure: values for figure, *values in published.rows(KEY_FIGURES)}
    estimate, is_backtested = published.row(LTV_ESTIMATE)
    notes = {
        "net_revenue": "with sales to unknown customers, which are in no segment",
        "predicted_ltv": "" if is_backtested else "not back-tested yet",
    }
    short = _days_of_less_than_a_year(published)
    for figure, title, kind in (
        ("buyers", "Buyers", "count"),
        ("active_buyers", "Active buyers, 365 days", "count"),
        ("net_revenue", "Net revenue, 365 days", "money"),
        ("repeat_share", "Buyers who bought again", "rate"),
        ("predicted_ltv", "Predicted LTV, 365 days", "money"),
    ):
        now, month, year = found.get(figure, (None, None, None))
        change = "points" if kind == "rate" else "rate_change"
        changes = [
            (day or otherwise, value if figure == "buyers" or day not in short else None, change)
            for day, otherwise, value in (
                (published.month_end, "the last month-end", month),
                (published.year_before, "a year before", year),
            )
        ]
        value = {**estimate, "value": now} if figure == "predicted_ltv" else now
        yield Tile(title, value, kind, changes, note=notes.get(figure, ""))


def _days_of_less_than_a_year(published: Publication) -> list[date]:
    """The days compared with whose 365 days begin before the data does: figures were not whole then."""
    days = (published.month_end, published.year_before)
    return [day for day in days if day and day - timedelta(364) < published.first_day]


def _not_compared(published: Publication) -> Iterator[Text]:
    if short := _days_of_less_than_a_year(published):
        yield Text(
            f"Only the number of buyers is compared with {' and '.join(map(str, short))}: the data begins on "
            f"{published.first_day}, less than 365 days before."
        )


def _treemap(published: Publication) -> Chart:
    macros = published.rows(MACROS)
    segments = published.rows(TREEMAP)
    places = {macro: f"macro/{place}" for place, (macro, *_) in enumerate(macros)}
    tiles = [
        ("all", "All customers", "", *published.row(EVERYBODY)),
        *((places[macro], macro, "all", customers, value) for macro, customers, value in macros),
        *(
            (f"segment/{segment}" if segment else f"{places[macro]}/rest", label, places[macro], customers, value)
            for macro, segment, label, customers, value in segments
        ),
    ]
    ids, labels, parents, sizes, values = zip(*tiles, strict=True)
    lines = [
        wrap(label, 13) if parent not in ("", "all") else [label] for label, parent in zip(labels, parents, strict=True)
    ]
    known = sorted(value for *_, value in segments if value is not None)
    trace = {
        "type": "treemap",
        "ids": ids,
        "labels": labels,
        "parents": parents,
        "values": sizes,
        "branchvalues": "total",
        "customdata": [
            [f"{shown(value, 'money')} {published.currency}", *parts]
            for value, parts in zip(values, lines, strict=True)
        ],
        "marker": {
            "colors": values,
            "colorscale": [[step / 4, f"var(--scale-{step})"] for step in range(5)],
            "cmin": 0,
            # Few segments are worth many times the others: what is above 95 in 100 of them is of one colour.
            "cmax": known[int(0.95 * (len(known) - 1))] if known else 1,
            "colorbar": {
                "orientation": "h",
                "title": {
                    "text": f"predicted LTV per customer, {published.currency}",
                    "side": "bottom",
                    "font": {"size": 12},
                },
                "thickness": 8,
                "y": 0,
                "yanchor": "top",
                "outlinewidth": 0,
            },
            "line": {"width": 1, "color": "var(--surface)"},
            "cornerradius": 3,
        },
        # Labels in short lines: whole ones fit few tiles.
        "texttemplate": [
            "".join(f"%{{customdata[{at}]}}<br>" for at in range(1, 1 + len(parts))) + "%{value:,}" for parts in lines
        ],
        "hovertemplate": "%{label}<br>%{value:,} customers, each worth %{customdata[0]}<extra></extra>",
        "tiling": {"pad": 2},
        "pathbar": {"thickness": 22},
    }
    return Chart(
        "Segments by customers, coloured by predicted LTV per customer",
        f"{len(macros)} macro-segments, split into micro-segments. The table of segments below has the same figures.",
        [trace] if macros else [],
        "No segments: there are fewer customers than a macro-segment needs to be shown.",
        {"margin": {"l": 0, "r": 0, "t": 0, "b": 0}, "uniformtext": {"minsize": 10, "mode": "hide"}},
        note="Choose a macro-segment to see what is in it, a micro-segment to open its card.",
        height=540,
    )


def _moves(published: Publication) -> Table:
    since, hidden = published.row(SUPPRESSED)
    return Table(
        f"Biggest moves since {since}" if since else "Biggest moves",
        (
            Column("From", "segment"),
            Column("To", "segment"),
            Column("Customers", "count"),
            Column("Predicted LTV", "money", has_bar=True),
            Column("Cause"),
        ),
        published.rows(MOVES),
        "Nobody has moved, or there is no month-end yet to compare with.",
        note="By predicted LTV of those who moved."
        + (f" {hidden:,} customers are in cells too small to be shown." if hidden else ""),
    )


def _lists(published: Publication) -> list[Table]:
    return [
        Table(
            "Most valuable",
            (
                Column("Segment", "segment"),
                Column("Predicted LTV", "money", has_bar=True),
                Column("Reachable", "count"),
                Column("Remark", "flag"),
            ),
            published.rows(VALUABLE),
            "No lifetime value is predicted yet: nobody has ordered, or segments are too small to be shown.",
            note="With its 95 % interval. Reachable: customers who may be sent e-mail.",
        ),
        Table(
            "At risk and valuable",
            (
                Column("Segment", "segment"),
                Column("Revenue at risk", "money", has_bar=True),
                Column("Share", "rate"),
                Column("Reachable", "count"),
            ),
            published.rows(AT_RISK),
            "No purchase model scores these customers yet, so nobody's risk of leaving is known.",
            note="Revenue at risk: net revenue of 365 days times each buyer's churn risk.",
        ),
        Table(
            "Growing",
            (
                Column("Segment", "segment"),
                Column("Predicted LTV added", "money", has_bar=True),
                Column("Customers", "change"),
                Column("Reachable", "count"),
            ),
            published.rows(GROWING),
            f"No segment's predicted LTV has grown since {published.quarter_before}."
            if published.quarter_before
            else "There is no snapshot of three months ago yet.",
            note=f"Since {published.quarter_before}, by predicted LTV added: visitors who never ordered add none, "
            "customers who are away little."
            if published.quarter_before
            else "",
        ),
    ]
