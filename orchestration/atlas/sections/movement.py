"""Who moved between segments in the last full month, why, and what sizes are expected next."""

from __future__ import annotations

from typing import Any

from orchestration.atlas.blocks import Chart, Column, Table
from orchestration.atlas.reader import Publication

ORDER = 30
TITLE = "Movement"

LAST_MONTH = """
    moves as (
        select *
        from marts.segment_migrations
        where period = 'month' and is_month_end
        qualify dense_rank() over (order by snapshot_date desc) = 1
    )
"""
DATES = f"with {LAST_MONTH} select min(previous_snapshot_date), min(snapshot_date) from moves"
# By value, as the first screen's moves: by customers, they are visitors who come and go.
LARGEST_FLOWS = 24
FLOWS = f"""
    with {LAST_MONTH}
    select
        from_micro_segment,
        to_micro_segment,
        sum(customers) as moved
    from moves
    where step = 'behaviour' and cause not in ('stayed', 'suppressed')
    group by from_micro_segment, to_micro_segment
    order by
        sum(greatest(predicted_ltv_365d_before, predicted_ltv_365d_after)) desc,
        moved desc,
        from_micro_segment,
        to_micro_segment
    limit {LARGEST_FLOWS}
"""
TOTALS = f"""
    with {LAST_MONTH}
    select
        sum(customers) filter (where cause = 'stayed') as stayed,
        sum(customers) filter (where cause not in ('stayed', 'suppressed')) as moved,
        coalesce(sum(customers) filter (
            where cause not in ('stayed', 'suppressed')
            and predicted_ltv_365d_before = 0 and predicted_ltv_365d_after = 0
        ), 0) as moved_without_value,
        sum(customers) filter (where cause = 'suppressed' and to_micro_segment = '(not shown)') as hidden
    from moves
    where step = 'behaviour'
"""
CAUSES = f"""
    with {LAST_MONTH}
    select
        cause_text(cause),
        case step when 'behaviour' then 'by behaviour' else 'by redrawing' end,
        sum(customers) as customers,
        sum(predicted_ltv_365d_before) as value_before,
        sum(predicted_ltv_365d_after) as value_after
    from moves
    where cause <> 'suppressed' and (step = 'behaviour' or cause <> 'stayed')
    group by cause, step
    order by customers desc, cause, step
"""
MOVES = f"""
    with {LAST_MONTH}
    select
        segment(from_micro_segment_id, from_micro_segment),
        segment(to_micro_segment_id, to_micro_segment),
        customers,
        predicted_ltv_365d_before,
        predicted_ltv_365d_after,
        cause_text(cause)
    from moves
    where cause <> 'stayed'
    order by cause = 'suppressed', customers desc, from_micro_segment, to_micro_segment, cause, step
    limit 300
"""
FORECASTS = """
    select
        segment(micro_segment_id, micro_segment),
        customers,
        estimate(predicted_customers, predicted_customers_low, predicted_customers_high),
        predicted_customers - customers
    from marts.segment_forecasts
    where is_latest and is_published
    order by abs(predicted_customers - customers) desc, micro_segment_id
    limit 100
"""
FORECAST_DATES = """
    select target_date, is_published_reason
    from marts.segment_forecasts
    where is_latest
    order by target_date, is_published_reason
    limit 1
"""


def blocks(published: Publication) -> list[Any]:
    before, after = published.row(DATES)
    span = f", {before} to {after}" if after else ""
    nothing = "There are no two month-ends yet to compare."
    return [
        _flows(published, span, nothing),
        Table(
            f"Why{span}",
            (
                Column("Cause"),
                Column("Step"),
                Column("Customers", "count", has_bar=True),
                Column("Predicted LTV before", "money"),
                Column("Predicted LTV after", "money"),
            ),
            published.rows(CAUSES),
            nothing,
            note="By behaviour: where the rules of the first day put customers. By redrawing: what changes because "
            "segments open and close with their size.",
        ),
        Table(
            f"Moves{span}",
            (
                Column("From", "segment"),
                Column("To", "segment"),
                Column("Customers", "count", has_bar=True),
                Column("Predicted LTV before", "money"),
                Column("Predicted LTV after", "money"),
                Column("Cause"),
            ),
            published.rows(MOVES),
            nothing,
            note="The 300 largest. Cells that are too small to be shown are added up by where customers come from, and "
            "by where they go.",
            search="moves",
            rows_at_first=12,
        ),
        _forecasts(published),
    ]


def _flows(published: Publication, span: str, nothing: str) -> Chart:
    flows = published.rows(FLOWS)
    stayed, moved, moved_without_value, hidden = published.row(TOTALS)
    sources = list(dict.fromkeys(source for source, _, _ in flows))
    goals = list(dict.fromkeys(goal for _, goal, _ in flows))
    drawn = sum(customers for *_, customers in flows)
    trace = {
        "type": "sankey",
        "arrangement": "fixed",
        "node": {
            "label": [*sources, *goals],
            "pad": 14,
            "thickness": 10,
            "color": ["var(--series-1)"] * len(sources) + ["var(--series-2)"] * len(goals),
            "line": {"width": 0},
            "hovertemplate": "%{label}: %{value:,} customers<extra></extra>",
        },
        "link": {
            "source": [sources.index(source) for source, _, _ in flows],
            "target": [len(sources) + goals.index(goal) for _, goal, _ in flows],
            "value": [customers for *_, customers in flows],
            "color": "var(--flow)",
            "hovertemplate": "%{source.label} to %{target.label}: %{value:,} customers<extra></extra>",
        },
    }
    note = ""
    if flows:
        note = (
            f"The {len(flows)} flows of the highest predicted LTV, {drawn:,} customers. In all, {moved:,} moved, came "
        )
        note += f"or left, {moved_without_value:,} of them without predicted LTV, as visitors; {stayed or 0:,} stayed."
        if hidden:
            note += f" {hidden:,} are in cells too small to be shown."
    return Chart(
        f"From where to where{span}",
        f"{len(flows)} flows between segments; the table of moves below has the same figures.",
        [trace] if flows else [],
        nothing if not span else "Nobody moved in the last month.",
        {"margin": {"l": 0, "r": 0, "t": 8, "b": 8}},
        note=note,
        height=max(320, 26 * max(len(sources), len(goals))),
        least_width=680,
    )


def _forecasts(published: Publication) -> Table:
    known = published.rows(FORECAST_DATES)
    return Table(
        f"Sizes expected on {known[0][0]}" if known else "Sizes expected at the next month-end",
        (
            Column("Segment", "segment"),
            Column("Customers at the month-end", "count"),
            Column("Expected", "count"),
            Column("Change", "change"),
        ),
        published.rows(FORECASTS),
        f"No forecast is shown: {known[0][1]}." if known else "There are no two month-ends yet to learn from.",
        note="With 95 % intervals, if customers move as they did in the month before and the rules stay.",
        rows_at_first=12,
    )
