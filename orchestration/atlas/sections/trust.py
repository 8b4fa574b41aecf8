"""What stands behind the figures: books, back-tests, rules, checks, and what the words mean."""

from __future__ import annotations

from typing import Any

from orchestration.atlas.blocks import Chart, Column, Grid, Table, Terms, interval_bars, month_axis
from orchestration.atlas.reader import Publication

ORDER = 60
TITLE = "Trust"

CHECKS = """
    select replace(check_name, '_', ' '), subject, measured, warn_level, error_level, status, explanation, description
    from quality.checks
    order by case status when 'error' then 1 when 'warn' then 2 else 3 end, check_name, subject
"""
RECONCILIATION = """
    select order_currency, line, messages, amount, amount_reporting_currency
    from quality.revenue_reconciliation
    order by order_currency, line_number, line
"""
BACKTESTS = """
    select
        horizon_days || ' days',
        replace(measure, '_', ' '),
        count(distinct snapshot_date) filter (where dimension = 'all') as month_ends,
        sum(predicted) filter (where dimension = 'all') / nullif(sum(actual) filter (where dimension = 'all'), 0) - 1
            as bias,
        avg(cast(spearman as decimal(9, 6))) filter (where dimension = 'all') as spearman,
        avg(cast(normalised_gini as decimal(9, 6))) filter (where dimension = 'all') as normalised_gini,
        count_if(dimension = 'micro_segment' and is_interval_widened) as segments_widened,
        sum(predicted) filter (where dimension = 'micro_segment' and is_interval_widened and is_in_interval)
            / nullif(sum(predicted) filter (where dimension = 'micro_segment' and is_interval_widened), 0)
            as in_interval
    from quality.ltv_backtest
    where buyers_modelled > 0
    group by horizon_days, measure
    order by measure, horizon_days
"""
HORIZONS = "select distinct horizon_days from quality.ltv_backtest order by horizon_days"
# Month-ends that no fit scored would show how good the plain estimate was, not the model.
MODELLED = """
    horizon_days = $horizon and snapshot_date in (
        select snapshot_date
        from quality.ltv_backtest
        where horizon_days = $horizon and dimension = 'all' and buyers_modelled > 0
    )
"""
CALIBRATION = f"""
    select
        snapshot_date,
        cast(dimension_value as integer) as decile,
        cast(predicted / buyers as decimal(18, 2)) as predicted,
        cast(actual / buyers as decimal(18, 2)) as actual
    from quality.ltv_backtest
    where dimension = 'decile' and measure = 'net_revenue' and buyers > 0 and {MODELLED}
    qualify dense_rank() over (order by snapshot_date desc) = 1
    order by decile
"""
FORETOLD = f"""
    select snapshot_date, predicted, predicted_low, predicted_high, actual
    from quality.ltv_backtest
    where dimension = 'all' and measure = 'net_revenue' and {MODELLED}
    order by snapshot_date
"""
FORECASTS = """
    select
        snapshot_date,
        target_date,
        micro_segments,
        customers,
        weighted_error,
        weighted_error_unchanged,
        coverage,
        case when is_published then 'published' end
    from quality.segment_forecast_backtest
    order by snapshot_date desc
    limit 24
"""
SEGMENTATION = """
    select
        snapshot_date,
        micro_segments,
        smallest_segment_customers,
        median_segment_customers,
        coverage,
        explained_variance,
        explained_variance_rfm_groups,
        explained_variance_macro_segments,
        adjusted_rand_index,
        nullif(concat_ws(
            ', ',
            case when is_below_rfm then 'below RFM' end,
            case when not is_spend_window_complete then spend_window_days || ' days only' end
        ), '')
    from quality.segmentation_quality
    order by snapshot_date desc
    limit 24
"""
LEDGER = """
    select
        date_trunc('month', received_date) as month,
        cast(sum(messages_read) as bigint),
        cast(sum(accepted) as bigint),
        cast(sum(duplicates) as bigint),
        cast(sum(rejected) as bigint)
    from quality.message_ledger
    group by date_trunc('month', received_date)
    order by month desc
    limit 24
"""
REJECTED = """
    select reject_reason, cast(sum(messages) as bigint) as rejected, min(received_date), max(received_date)
    from quality.rejected_messages
    group by reject_reason
    order by rejected desc, reject_reason
"""
WARNINGS = """
    select warning, rules_file, rule_number, macro_segment, attribute, value, customers, explanation
    from quality.segmentation_warnings
    order by rules_file, warning, rule_number, macro_segment, attribute, value
    limit 500
"""
MACRO_RULES = """
    select macro_segment, rule_priority, rule, micro_segments, customers, buyers
    from marts.macro_segments
    where is_current
    order by rule_priority nulls last, macro_segment
"""
SEGMENT_RULES = """
    select segment(micro_segment_id, micro_segment), rule, customers
    from marts.micro_segments
    where is_current
    order by macro_segment, micro_segment, micro_segment_id
"""

#: What the glossary explains: in the words that the publication has for a column or mart, or in a sentence of its own
#: where those make no sense away from the column.
TERMS = (
    ("as of", "quality.publication", "as_of"),
    (
        "snapshot",
        None,
        "The state of the books at the end of a business day: all that had been posted by then, and nothing that was "
        "posted later.",
    ),
    ("received date", "marts.revenue_entries", "received_date"),
    ("event date", "marts.revenue_entries", "event_date"),
    (
        "customers",
        None,
        "The people that the business knows: buyers, leads (known, no order) and prospects (visitors nobody could "
        "name, while seen lately).",
    ),
    ("buyer", None, "A customer with an order that was not cancelled."),
    ("active buyers", None, "Buyers with an order in the 365 days that end with the day of the figure."),
    (
        "reachable",
        None,
        "Known customers who may be sent e-mail: they have not bounced, complained or unsubscribed, and consented, or "
        "were never asked where the shop's settings allow that.",
    ),
    ("net revenue", "marts.customers", "net_revenue"),
    ("predicted LTV", "marts.customers", "predicted_ltv_365d"),
    (
        "its 95 % interval",
        None,
        "Holds what comes in 95 of 100 cases, by chance, by how sure the parameters are, and by how wrong earlier "
        "predictions were for such segments.",
    ),
    (
        "back-tested",
        None,
        "Held against what came: intervals are as wide as earlier predictions were wrong. Where none has come due yet, "
        "they hold chance and uncertain parameters only, and are too narrow.",
    ),
    ("churn risk", None, "Chance that the buyer will never order again: 1 less the probability alive."),
    ("probability alive", "marts.customers", "probability_alive"),
    ("macro-segment", "marts.customers", "macro_segment"),
    (
        "micro-segment",
        None,
        "A part of a macro-segment, split by one attribute after another while the groups stay large enough to be "
        "shown. Each customer of a snapshot is in exactly one.",
    ),
    (
        "rest",
        None,
        "A segment that holds, at one of the attributes that split it at least, the customers whose own values are too "
        "rare for a segment.",
    ),
    ("cause of a move", "marts.segment_migrations", "cause"),
    ("lift", "marts.segment_profiles", "lift"),
    (
        "distinctive",
        None,
        "A trait that is more or less common in the segment than in the rest of its macro-segment by more than chance "
        "explains: at most 5 % of such findings are expected to be false.",
    ),
    ("acquisition source", "marts.customers", "acquisition_source"),
    ("bias", "quality.ltv_backtest", "bias_rate"),
    ("rank correlation", "quality.ltv_backtest", "spearman"),
    ("normalised Gini", "quality.ltv_backtest", "normalised_gini"),
    ("explained variance", "quality.segmentation_quality", "explained_variance"),
    ("adjusted Rand index", "quality.segmentation_quality", "adjusted_rand_index"),
    ("weighted error", "quality.segment_forecast_backtest", "weighted_error"),
)
MEANINGS = """
    select schema_name || '.' || table_name, column_name, replace(comment, '`', '')
    from duckdb_columns()
    where comment is not null
"""


def blocks(published: Publication) -> list[Any]:
    return [
        *_checks(published),
        Table(
            "From the messages to the marts",
            (
                Column("Currency"),
                Column("Line"),
                Column("Messages", "count"),
                Column("Amount", "number"),
                Column("Amount", "cents"),
            ),
            published.rows(RECONCILIATION),
            "There are no orders to reconcile.",
            note="Computed from the messages in one go; marts are posted day by day. The line difference has to be 0.",
        ),
        *_ltv(published),
        *_segmentation(published),
        *_messages(published),
        *_rules(published),
        _glossary(published),
    ]


def _checks(published: Publication) -> list[Any]:
    if not published.has("quality.checks"):
        return []
    return [
        Table(
            "Checks",
            (
                Column("Check"),
                Column("Subject"),
                Column("Measured", "number"),
                Column("Warns above", "number"),
                Column("Fails above", "number"),
                Column("Status", "status"),
                Column("Explanation"),
                Column("What is measured"),
            ),
            published.rows(CHECKS),
            "There is too little yet to check the figures against.",
            note=f"dbt's tests ({published.checks_passed or 0:,}) are not listed here: a refresh publishes nothing "
            "unless all of them pass.",
            rows_at_first=8,
        )
    ]


def _ltv(published: Publication) -> list[Any]:
    horizons = [horizon for (horizon,) in published.rows(HORIZONS)]
    return [
        Table(
            "Lifetime value: what was predicted, and what came",
            (
                Column("Horizon"),
                Column("Of"),
                Column("Month-ends", "count"),
                Column("Bias", "rate_change"),
                Column("Rank correlation", "number"),
                Column("Normalised Gini", "number"),
                Column("Segments with widened interval", "count"),
                Column("Of their value, in the interval", "rate"),
            ),
            published.rows(BACKTESTS),
            "No prediction of a fitted model has come due yet, so none has been held against what came.",
            note="Month-ends that a fit scores. Bias: predicted over actual, all month-ends together; correlation and "
            "Gini are means of the month-ends.",
        ),
        Grid([_foretold(published, horizon) for horizon in horizons]),
        Grid([_calibration(published, horizon) for horizon in horizons]),
    ]


def _none_came_due(horizon: int) -> str:
    return f"No prediction of a fitted model over {horizon} days has come due yet."


def _foretold(published: Publication, horizon: int) -> Chart:
    rows = published.rows(FORETOLD, horizon=horizon)
    dates = [row[0] for row in rows]
    line = {"type": "scatter", "mode": "lines+markers", "x": dates}
    return Chart(
        f"Net revenue of the next {horizon} days, {published.currency}",
        f"Predicted at month-ends ({len(rows)}), with 95 % intervals, and what came.",
        [
            {
                **line,
                "y": [row[1] for row in rows],
                "error_y": interval_bars([row[1:4] for row in rows]),
                "name": "predicted, 95 % interval",
                "line": {"color": "var(--series-1)"},
                "hovertemplate": "%{x}: %{y:,.0f} predicted<extra></extra>",
            },
            {
                **line,
                "y": [row[4] for row in rows],
                "name": "came",
                "line": {"color": "var(--series-2)"},
                "marker": {"symbol": "diamond"},
                "hovertemplate": "%{x}: %{y:,.0f} came<extra></extra>",
            },
        ]
        if rows
        else [],
        _none_came_due(horizon),
        {"yaxis": {"rangemode": "tozero"}, "xaxis": month_axis(dates)},
    )


def _calibration(published: Publication, horizon: int) -> Chart:
    rows = published.rows(CALIBRATION, horizon=horizon)
    day = rows[0][0] if rows else None
    return Chart(
        f"The same by decile, {horizon} days, {published.currency} per buyer",
        f"Mean net revenue predicted on {day} and what came, by decile of the prediction.",
        [
            {
                "type": "bar",
                "name": name,
                "x": [row[1] for row in rows],
                "y": [row[position] for row in rows],
                "marker": {"color": color},
                "hovertemplate": "decile %{x}: %{y:,.2f}<extra>%{fullData.name}</extra>",
            }
            for name, position, color in (
                (f"predicted on {day}", 2, "var(--series-1)"),
                ("came", 3, "var(--series-2)"),
            )
            if rows
        ],
        _none_came_due(horizon),
        {"xaxis": {"dtick": 1, "title": {"text": "decile, 10: highest predicted"}}, "bargap": 0.25},
    )


def _segmentation(published: Publication) -> list[Any]:
    return [
        Table(
            "Segments, measured at each month-end",
            (
                Column("Month-end", "date"),
                Column("Segments", "count"),
                Column("Smallest", "count"),
                Column("Median size", "count"),
                Column("In a segment", "rate"),
                Column("Later spend explained", "rate", has_bar=True),
                Column("By RFM groups", "rate"),
                Column("By macro-segments", "rate"),
                Column("Adjusted Rand index", "number"),
                Column("Remark", "flag"),
            ),
            published.rows(SEGMENTATION),
            "There is no month-end yet.",
            note="Later spend: of the six months after the month-end, or of as many days as there are.",
            rows_at_first=8,
        ),
        Table(
            "Forecasts of segment sizes, and what came",
            (
                Column("Made on", "date"),
                Column("For", "date"),
                Column("Segments", "count"),
                Column("Customers", "count"),
                Column("Weighted error", "rate"),
                Column("Had sizes stayed", "rate"),
                Column("In the 95 % interval", "rate"),
                Column("Remark", "flag"),
            ),
            published.rows(FORECASTS),
            "No forecast has come due yet.",
            rows_at_first=8,
        ),
    ]


def _messages(published: Publication) -> list[Any]:
    return [
        Grid(
            [
                Table(
                    "Messages: read = accepted + duplicates + rejected",
                    (
                        Column("Month", "month"),
                        Column("Read", "count", has_bar=True),
                        Column("Accepted", "count"),
                        Column("Duplicates", "count"),
                        Column("Rejected", "count"),
                    ),
                    published.rows(LEDGER),
                    "No messages have been read.",
                    note="By the month in which they entered the books.",
                    rows_at_first=8,
                ),
                Table(
                    "Why messages were rejected",
                    (
                        Column("Reason"),
                        Column("Messages", "count", has_bar=True),
                        Column("First", "date"),
                        Column("Last", "date"),
                    ),
                    published.rows(REJECTED),
                    "No message was rejected.",
                ),
            ]
        )
    ]


def _rules(published: Publication) -> list[Any]:
    return [
        Table(
            "Rules of macro-segments",
            (
                Column("Macro-segment"),
                Column("Priority", "count"),
                Column("Rule"),
                Column("Micro-segments", "count"),
                Column("Customers", "count", has_bar=True),
                Column("Buyers", "count"),
            ),
            published.rows(MACRO_RULES),
            "There are no macro-segments: all customers together are fewer than one needs to be shown.",
            note="A customer takes the matching rule with the lowest priority number.",
        ),
        Table(
            "Rules of micro-segments",
            (Column("Segment", "segment"), Column("Rule"), Column("Customers", "count")),
            published.rows(SEGMENT_RULES),
            "There are no micro-segments.",
            note="A segment's card has its rule as a condition that runs on marts.customers.",
            search="rules",
            rows_at_first=8,
        ),
        Table(
            "Remarks on the rules",
            (
                Column("Remark"),
                Column("File"),
                Column("Rule", "count"),
                Column("Macro-segment"),
                Column("Attribute"),
                Column("Value"),
                Column("Customers", "count"),
                Column("Explanation"),
            ),
            published.rows(WARNINGS),
            "All rules have an effect.",
            rows_at_first=8,
        ),
    ]


def _glossary(published: Publication) -> Terms:
    meanings = {(table, column): meaning for table, column, meaning in published.rows(MEANINGS)}
    return Terms(
        "What the words mean",
        [
            (term, meanings[table, text] if table else text)
            for term, table, text in TERMS
            if not table or (table, text) in meanings
        ],
    )
