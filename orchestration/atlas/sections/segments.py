"""All segments in one table, and a card for each: who is in it, what they are worth, where they come from and go."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from orchestration.atlas.blocks import (
    Card,
    Cards,
    Chart,
    Column,
    Grid,
    Table,
    Terms,
    Text,
    Tile,
    Tiles,
    interval_bars,
    month_axis,
)
from orchestration.atlas.reader import Publication

ORDER = 20
TITLE = "Segments"

SEGMENTS = """
    with history as (
        select
            micro_segment_id,
            list(customers order by snapshot_date) as trend,
            max(customers) filter (where snapshot_date = getvariable('month_end')) as customers_before
        from marts.micro_segment_snapshots
        where is_latest or (is_month_end and snapshot_date >= getvariable('as_of') - interval 2 year)
        group by micro_segment_id
    )
    select
        segment(segments.micro_segment_id, segments.micro_segment),
        segments.customers,
        history.trend,
        segments.customers - history.customers_before as change,
        segments.buyers,
        segments.email_contactable_customers,
        segments.net_revenue_365d,
        estimate(segments.predicted_ltv_365d, segments.predicted_ltv_365d_low, segments.predicted_ltv_365d_high),
        cast(segments.predicted_ltv_365d / segments.customers as decimal(18, 2)),
        nullif(concat_ws(
            ', ',
            case when segments.is_remainder then 'rest' end,
            case when segments.predicted_ltv_365d > 0 and not segments.is_ltv_backtested then 'not back-tested' end
        ), '')
    from marts.micro_segments as segments
    left join history on segments.micro_segment_id = history.micro_segment_id
    where segments.is_current
    order by segments.predicted_ltv_365d desc nulls last, segments.customers desc, segments.micro_segment_id
"""

# So that a shop with thousands of segments has a page that opens: the others' cards hold figures and rule alone.
FULL_CARDS = 300
NOT_FULL = (
    f"History, movement and profile are on the page for the {FULL_CARDS} segments of the highest predicted LTV; for "
    "this one they are in marts.micro_segment_snapshots, segment_migrations and segment_profiles."
)
CARDS = f"""
    select
        micro_segment_id,
        micro_segment,
        macro_segment,
        first_snapshot_date,
        rule,
        rule_sql,
        customers,
        buyers,
        email_contactable_customers,
        net_revenue_365d,
        estimate(predicted_ltv_365d, predicted_ltv_365d_low, predicted_ltv_365d_high),
        is_ltv_backtested,
        row_number() over (
            order by predicted_ltv_365d desc nulls last, customers desc, micro_segment_id
        ) <= {FULL_CARDS} as is_full
    from marts.micro_segments
    where is_current
    order by is_full desc, micro_segment_id
"""
FULL = f"""
    full_cards as (
        select *
        from marts.micro_segments
        where is_current
        order by predicted_ltv_365d desc nulls last, customers desc, micro_segment_id
        limit {FULL_CARDS}
    )
"""
# Snapshots in which nobody was in the segment are there too, without figures: lines break off.
HISTORY = f"""
    with {FULL},
    days as (
        select calendar_date as snapshot_date
        from marts.calendar
        where
            calendar_date = getvariable('as_of')
            or (is_snapshot and is_month_end and calendar_date >= getvariable('as_of') - interval 3 year)
    )
    select
        full_cards.micro_segment_id,
        days.snapshot_date,
        snapshots.customers,
        snapshots.net_revenue_365d,
        snapshots.predicted_ltv_365d,
        snapshots.predicted_ltv_365d_low,
        snapshots.predicted_ltv_365d_high
    from full_cards
    inner join days on days.snapshot_date between full_cards.first_snapshot_date and full_cards.last_snapshot_date
    left join marts.micro_segment_snapshots as snapshots
        on full_cards.micro_segment_id = snapshots.micro_segment_id and days.snapshot_date = snapshots.snapshot_date
    order by full_cards.micro_segment_id, days.snapshot_date
"""
HORIZONS = f"""
    with {FULL}
    select
        micro_segment_id,
        format('{{:,}} days', horizon_days),
        expected_orders,
        estimate(predicted_ltv, low, high)
    from (
        {
    " union all ".join(
        f"select micro_segment_id, {days} as horizon_days, expected_orders_{days}d as expected_orders, "
        f"predicted_ltv_{days}d as predicted_ltv, predicted_ltv_{days}d_low as low, "
        f"predicted_ltv_{days}d_high as high from full_cards"
        for days in (90, 180, 365, 1095)
    )
}
    ) as horizons
    where predicted_ltv is not null
    order by micro_segment_id, horizon_days
"""
MOVES = f"""
    with {FULL},
    moves as (
        select *
        from marts.segment_migrations
        where period = 'month' and is_month_end and cause <> 'stayed'
        qualify dense_rank() over (order by snapshot_date desc) = 1
    ),
    ends as (
        select
            'to' as direction,
            to_micro_segment_id as micro_segment_id,
            segment_beside(from_micro_segment_id, from_micro_segment, to_micro_segment) as other,
            customers,
            cause,
            step
        from moves
        union all
        select
            'from' as direction,
            from_micro_segment_id as micro_segment_id,
            segment_beside(to_micro_segment_id, to_micro_segment, from_micro_segment) as other,
            customers,
            cause,
            step
        from moves
    )
    select
        micro_segment_id,
        direction,
        other,
        cause_text(cause),
        customers
    from ends
    semi join full_cards using (micro_segment_id)
    qualify row_number() over (
        partition by micro_segment_id, direction order by customers desc, other.macro, other.label, cause, step
    ) <= 6
    order by micro_segment_id, direction, customers desc, other.macro, other.label, cause, step
"""
LAST_MONTH = """
    select max(previous_snapshot_date), max(snapshot_date)
    from marts.segment_migrations
    where period = 'month' and is_month_end
    group by snapshot_date
    order by snapshot_date desc
    limit 1
"""
PROFILES = f"""
    with {FULL}
    select
        micro_segment_id,
        replace(dimension, '_', ' ') || ': ' || dimension_value,
        estimate(lift, lift_low, lift_high),
        share,
        macro_share,
        customers,
        case when is_inferred then 'inferred' end
    from marts.segment_profiles
    semi join full_cards using (micro_segment_id)
    where profile_rank <= 12
    order by micro_segment_id, profile_rank
"""
FORECASTS = f"""
    with {FULL}
    select micro_segment_id, target_date, predicted_customers, predicted_customers_low, predicted_customers_high
    from marts.segment_forecasts
    semi join full_cards using (micro_segment_id)
    where is_latest and is_published
    order by micro_segment_id
"""


def blocks(published: Publication) -> list[Any]:
    return [
        Table(
            "All segments",
            (
                Column("Segment", "segment"),
                Column("Customers", "count", has_bar=True),
                Column("Trend", "trend"),
                Column(f"Since {published.month_end}" if published.month_end else "Change", "change"),
                Column("Buyers", "count"),
                Column("Reachable", "count"),
                Column("Net revenue, 365 days", "money"),
                Column("Predicted LTV, 365 days", "money", has_bar=True),
                Column("LTV per customer", "money"),
                Column("Remark", "flag"),
            ),
            published.rows(SEGMENTS),
            "There are no segments: all customers together are fewer than a segment needs to be shown.",
            search="segments",
            note="With 95 % intervals. Trend: customers at the segment's month-ends, of two years at most. "
            + (f"Without a change: it was not shown on {published.month_end}. " if published.month_end else "")
            + "A segment's name opens its card. Rest: customers whose own values are too rare "
            "for a segment. Not back-tested: no prediction has come due yet, so the interval is too narrow.",
        ),
        Cards(_cards(published)),
    ]


def _cards(published: Publication) -> list[Card]:
    history, horizons, moves, profiles, forecasts = (
        _by_segment(published.rows(sql)) for sql in (HISTORY, HORIZONS, MOVES, PROFILES, FORECASTS)
    )
    months = published.rows(LAST_MONTH)
    cards = []
    for segment, label, macro, since, rule, rule_sql, *figures, is_full in published.rows(CARDS):
        terms = Terms("Rule", [("In words", rule), ("As a condition on marts.customers", rule_sql)])
        if is_full:
            parts = [
                Tiles(_tiles(figures)),
                terms,
                Grid([_sizes(history[segment], forecasts[segment]), _values(published, history[segment])]),
                _horizons(horizons[segment], figures[-1]),
                Grid([_ends(moves[segment], months, "to"), _ends(moves[segment], months, "from")]),
                _profile(macro, profiles[segment]),
            ]
        else:
            parts = [terms, Text(NOT_FULL)]
        cards.append(Card(segment, label, f"Part of {macro}; first seen {since}.", parts))
    return cards


def _by_segment(rows: list[tuple[Any, ...]]) -> defaultdict[str, list[tuple[Any, ...]]]:
    found: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for segment, *values in rows:
        found[segment].append(tuple(values))
    return found


def _tiles(figures: list[Any]) -> list[Tile]:
    customers, buyers, reachable, revenue, ltv, is_backtested = figures
    return [
        Tile("Customers", customers, "count"),
        Tile("Buyers", buyers, "count"),
        Tile("Reachable by e-mail", reachable, "count"),
        Tile("Net revenue, 365 days", revenue, "money"),
        Tile(
            "Predicted LTV, 365 days", ltv, "money",
            note="" if is_backtested or ltv["value"] is None else "not back-tested yet",
        ),
    ]  # fmt: skip


def _sizes(history: list[tuple[Any, ...]], forecasts: list[tuple[Any, ...]]) -> Chart:
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": [row[0] for row in history],
            "y": [row[1] for row in history],
            "name": "customers",
            "line": {"color": "var(--series-1)"},
            "hovertemplate": "%{x}: %{y:,} customers<extra></extra>",
        }
    ]
    note, known = "", [row[1] for row in history if row[1] is not None]
    for target, expected, low, high in forecasts:
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [target],
                "y": [expected],
                "error_y": interval_bars([(expected, low, high)]),
                "marker": {"color": "var(--series-2)", "symbol": "diamond"},
                "hovertemplate": "%{x}: %{y:,.0f} customers expected<extra></extra>",
            }
        )
        note = f"Diamond: {expected:,.0f} customers expected on {target} (95 %: {low:,.0f} to {high:,.0f})."
    return Chart(
        "Customers",
        "Customers at month-ends" + (f", from {known[0]:,} to {known[-1]:,}." if known else "."),
        traces if known else [],
        "No snapshots of this segment.",
        {
            "showlegend": False,
            "yaxis": {"rangemode": "tozero"},
            "xaxis": month_axis([*(row[0] for row in history), *(row[0] for row in forecasts)]),
        },
        note=note,
        height=220,
    )


def _values(published: Publication, history: list[tuple[Any, ...]]) -> Chart:
    dates, currency = [row[0] for row in history], published.currency
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": dates,
            "y": [row[3] for row in history],
            "error_y": interval_bars([row[3:] for row in history]),
            "name": "predicted LTV, 95 % interval",
            "line": {"color": "var(--series-1)"},
            "hovertemplate": "%{x}: %{y:,.0f} predicted<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "x": dates,
            "y": [row[2] for row in history],
            "name": "net revenue",
            "line": {"color": "var(--series-2)", "dash": "dot"},
            "hovertemplate": "%{x}: %{y:,.0f} net revenue<extra></extra>",
        },
    ]
    return Chart(
        f"Value, 365 days, {currency}",
        "Predicted LTV with its interval, and net revenue, at month-ends.",
        traces if any(row[3] is not None for row in history) else [],
        "Nothing is predicted for this segment: nobody in it has ordered.",
        {"yaxis": {"rangemode": "tozero"}, "xaxis": month_axis(dates)},
        height=220,
    )


def _horizons(rows: list[tuple[Any, ...]], is_backtested: bool) -> Table:
    return Table(
        "Predicted lifetime value",
        (
            Column("Within"),
            Column("Purchase days", "count"),
            Column("Predicted LTV", "money"),
        ),
        rows,
        "Nothing is predicted for this segment: nobody in it has ordered.",
        note="" if is_backtested else "Not back-tested: no prediction has come due yet, so intervals are too narrow.",
    )


def _ends(moves: list[tuple[Any, ...]], months: list[tuple[Any, ...]], direction: str) -> Table:
    span = f", {months[0][0]} to {months[0][1]}" if months else ""
    title, empty = (f"Came from{span}", "Nobody came.") if direction == "to" else (f"Went to{span}", "Nobody left.")
    return Table(
        title,
        (Column("Segment", "segment"), Column("Cause"), Column("Customers", "count", has_bar=True)),
        [values for end, *values in moves if end == direction],
        empty if months else "There are no two month-ends yet to compare.",
    )


def _profile(macro: str, rows: list[tuple[Any, ...]]) -> Table:
    return Table(
        f"What sets it apart in {macro}",
        (
            Column("Trait"),
            Column("Lift", "times"),
            Column("Share here", "rate", has_bar=True),
            Column("Share there", "rate", has_bar=True),
            Column("Customers", "count"),
            Column("Remark", "flag"),
        ),
        rows,
        "Nothing that is known sets these customers apart from the rest of their macro-segment.",
        note="With 95 % intervals. Shares of customers whose value is known. Lift: how many times as common as in the "
        "macro-segment, drawn towards 1 where customers are few. Inferred: from behaviour, for most who have it.",
    )
