"""`make check`: what a refresh would make of somebody's data, before anything is kept.

The messages go through the real staging models into a warehouse in a temporary folder, which is removed afterwards:
what is said here to be rejected is what a refresh rejects. Nothing is written into the project.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb

from orchestration.datasets import Prepared, describe, prepare
from orchestration.errors import StrataError
from orchestration.settings import Settings

LONG_HISTORY_DAYS = 60
REJECTED_SHARE_TO_WARN_OF = 0.01


@dataclass(frozen=True)
class Report:
    """What the messages of a source come to. Money is in the reporting currency."""

    messages: int
    accepted: int
    duplicates: int
    rejected: int
    reasons: list[tuple[str, int, str | None]]
    """(reason, messages, the message_id of one of them), most frequent first."""
    kinds: list[tuple[str, int]]
    """(event of a track message, otherwise its type; accepted messages), most frequent first."""
    customers: int
    """Different user_ids."""
    orders: int
    orders_without_customer: int
    first_event_date: date | None
    last_event_date: date | None
    revenue: Decimal
    refunded_revenue: Decimal
    net_revenue: Decimal
    currencies: list[str]
    busiest_received_date: date | None
    busiest_received_share: float


def check(
    settings: Settings,
    *,
    raw: str | None,
    source: str | None,
    size: int | None,
    now: datetime,
    stage: Callable[[Settings, str, dict[str, str]], Path],
    say: Callable[[str], None] = print,
) -> Report:
    """Read `raw` (or, without it, what the dataset's script makes of `source`), say what came of it, and return that.

    stage(settings, raw, variables) builds staging and orders into a warehouse under settings.home and returns its path.
    Raises StrataError for whatever a refresh would stop at.
    """
    with tempfile.TemporaryDirectory(prefix="strata-check-") as folder:
        home = Path(folder)
        trial = Settings.of(settings.dataset, raw=raw, home=home)
        prepared, variables = Prepared("nothing to import"), {}
        if raw is None and any((Path(settings.raw) / "events").rglob("*")) and source is None:
            trial = Settings.of(settings.dataset, raw=settings.raw, home=home)
        elif raw is None:
            variables = describe(settings.dataset).variables
            prepared = prepare(trial, source=source, size=size, until=None, now=now)
        report = read_report(stage(trial, trial.raw, variables))
    for line in lines_of(report, prepared):
        say(line)
    return report


def read_report(warehouse: Path) -> Report:
    """Query a warehouse that holds staging.stg_messages and intermediate.int_order_entries.

    Raises StrataError when there are no messages in it.
    """
    with duckdb.connect(str(warehouse), read_only=True) as db:

        def rows(sql: str) -> list[tuple]:
            return db.execute(sql).fetchall()

        ((messages, accepted, duplicates, rejected, customers, first, last),) = rows(
            """
            select
                count(*),
                count_if(outcome = 'accepted'),
                count_if(outcome = 'duplicate'),
                count_if(outcome = 'rejected'),
                count(distinct user_id) filter (where outcome = 'accepted'),
                min(event_date) filter (where outcome = 'accepted'),
                max(event_date) filter (where outcome = 'accepted'),
            from staging.stg_messages
            """
        )
        if not messages:
            raise StrataError("There are no messages: check that the path is right and the files aren't empty.")
        ((orders, revenue, refunded, net, currencies),) = rows(
            """
            select
                count(distinct order_id),
                coalesce(sum(revenue), 0),
                coalesce(sum(refunded_revenue), 0),
                coalesce(sum(net_revenue), 0),
                coalesce(list(distinct order_currency order by order_currency), []),
            from intermediate.int_order_entries
            """
        )
        ((without_customer,),) = rows(
            """
            select count(*)
            from staging.stg_messages
            where outcome = 'accepted' and event = 'Order Completed' and user_id is null and anonymous_id is null
            """
        )
        busiest = rows(
            """
            select received_date, count(*)
            from staging.stg_messages
            where outcome = 'accepted'
            group by received_date
            order by count(*) desc, received_date
            limit 1
            """
        )
        return Report(
            messages=messages,
            accepted=accepted,
            duplicates=duplicates,
            rejected=rejected,
            reasons=rows(
                """
                select reject_reason, count(*), min(message_id)
                from staging.stg_messages
                where outcome = 'rejected'
                group by reject_reason
                order by count(*) desc, reject_reason
                """
            ),
            kinds=rows(
                """
                select coalesce(event, type) as kind, count(*)
                from staging.stg_messages
                where outcome = 'accepted'
                group by kind
                order by count(*) desc, kind
                """
            ),
            customers=customers,
            orders=orders,
            orders_without_customer=without_customer,
            first_event_date=first,
            last_event_date=last,
            revenue=revenue,
            refunded_revenue=refunded,
            net_revenue=net,
            currencies=[currency for currency in currencies if currency],
            busiest_received_date=busiest[0][0] if busiest else None,
            busiest_received_share=busiest[0][1] / accepted if busiest else 0.0,
        )


def lines_of(report: Report, prepared: Prepared) -> list[str]:
    """The report as a person reads it, line by line."""
    lines: list[str] = []
    if prepared.columns:
        lines += ["Columns"]
        lines += [f"  {source} -> {column}" for column, source in prepared.columns if column and source]
        lines += [f"  {source}: not used" for column, source in prepared.columns if column is None]
        absent = [column for column, source in prepared.columns if column and source is None]
        lines += [f"  not found: {', '.join(absent)}"] if absent else []
    if prepared.notes:
        lines += ["Reading", *(f"  {note}" for note in prepared.notes)]
    lines += [
        "Messages",
        f"  read {report.messages:,} = accepted {report.accepted:,} + duplicates {report.duplicates:,} "
        f"+ rejected {report.rejected:,}",
        *(f"  {kind}: {count:,}" for kind, count in report.kinds),
    ]
    if report.reasons:
        lines += ["Would be rejected"]
        lines += [
            f"  {reason}: {count:,}" + (f" (one of them: {example})" if example else "")
            for reason, count, example in report.reasons
        ]
    lines += [
        "What they come to",
        f"  customers with a user_id: {report.customers:,}",
        f"  dates: {report.first_event_date or 'none'} to {report.last_event_date or 'none'}",
        f"  orders: {report.orders:,}",
        f"  revenue: {report.revenue:,.2f}, refunded {report.refunded_revenue:,.2f}, net {report.net_revenue:,.2f}",
        f"  order currencies: {', '.join(report.currencies) or 'none'}",
    ]
    warnings = warnings_of(report)
    return [*lines, "Warnings", *(f"  {warning}" for warning in warnings)] if warnings else lines


def warnings_of(report: Report) -> list[str]:
    """What will surprise later, and what to do about it."""
    warnings = []
    days = (report.last_event_date - report.first_event_date).days if report.first_event_date else 0
    if report.busiest_received_share > 0.5 and days > LONG_HISTORY_DAYS:
        warnings.append(
            f"{report.busiest_received_share:.0%} of {days} days of history were received on "
            f"{report.busiest_received_date}: the snapshots before it will lack them. If that is the day the history "
            "was loaded, leave received_at blank."
        )
    if report.rejected > REJECTED_SHARE_TO_WARN_OF * report.messages:
        share = report.rejected / report.messages
        warnings.append(f"{share:.1%} of the messages would be rejected: see the reasons above.")
    if any("currency" in reason for reason, _, _ in report.reasons):
        warnings.append(
            "Some orders are in a currency without a rate: put a table exchange_rates (currency, rate_date, "
            "rate_to_reporting) beside events/."
        )
    if report.orders_without_customer:
        warnings.append(
            f"{report.orders_without_customer:,} orders name no customer: they count in revenue, not in segments."
        )
    if not report.orders:
        warnings.append("There are no orders: value and lifetime value will be empty.")
    return warnings
