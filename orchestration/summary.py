"""What a refresh says at its end, read from the published file as anybody would read it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import duckdb

from orchestration.refresh import Refresh

MESSAGES = "select sum(messages_read), sum(accepted), sum(duplicates), sum(rejected) from quality.message_ledger"
REJECTED = """
    select reject_reason, sum(messages)
    from quality.rejected_messages
    group by reject_reason
    order by 2 desc, 1
"""
PEOPLE = """
    select
        count(*),
        count(*) filter (where is_buyer),
        (select count(*) from marts.macro_segments where is_current),
        (select count(*) from marts.micro_segments where is_current)
    from marts.customers
"""
REVENUE = """
    select count_if(order_status <> 'cancelled'), coalesce(sum(net_revenue), 0), coalesce(sum(refunded_revenue), 0)
    from marts.orders
"""
BALANCE = "select count(*) from quality.revenue_reconciliation where line = 'difference' and amount <> 0"
WARNINGS = "select count(*) from quality.segmentation_warnings"
CHECKS = """
    select check_name || ' (' || subject || ') ' || format('{:,.2f}', measured) || ': ' || explanation
    from quality.checks
    where status <> 'pass'
    order by check_name, subject
"""
VALUABLE = """
    select
        micro_segment,
        customers,
        predicted_ltv_365d,
        predicted_ltv_365d_low,
        predicted_ltv_365d_high
    from marts.micro_segments
    where is_current and predicted_ltv_365d is not null
    order by predicted_ltv_365d desc, micro_segment
    limit 10
"""


def print_summary(done: Refresh) -> None:
    """Print what came in, who the customers are, what they are worth, where to look, and how long it took."""
    link = done.settings.published / "strata.duckdb"
    shown = link.relative_to(Path.cwd()) if link.is_relative_to(Path.cwd()) else link
    with duckdb.connect(str(link), read_only=True) as db:

        def row(query: str) -> Sequence[int | Decimal]:
            return [value or 0 for value in db.execute(query).fetchone() or ()]

        (currency, as_of) = db.execute("select reporting_currency, as_of from quality.publication").fetchone() or (
            "",
            "",
        )
        read, accepted, duplicates, rejected = row(MESSAGES)
        people, buyers, macros, micros = row(PEOPLE)
        orders, revenue, refunded = row(REVENUE)
        (open_lines,) = row(BALANCE)
        (warnings,) = row(WARNINGS)
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in db.execute(REJECTED).fetchall())
        valuable = db.execute(VALUABLE).fetchall()
        unusual = [text for (text,) in db.execute(CHECKS).fetchall()]
        size = link.stat().st_size / 1e6

    print(f"\nStrata · {done.settings.dataset} · as of {as_of}\n")
    print(f"  Messages    {read:,} read = {accepted:,} accepted + {duplicates:,} duplicate + {rejected:,} rejected")
    if reasons:
        print(f"              rejected: {reasons}")
    print(f"  Customers   {people:,}, of whom {buyers:,} have bought")
    print(f"  Segments    {macros:,} macro-segments, {micros:,} micro-segments")
    if warnings:
        print(f"              {warnings:,} remarks on the rules: quality.segmentation_warnings")
    print(f"  Revenue     {revenue:,.2f} {currency} net, from {orders:,} orders ({refunded:,.2f} refunded)", end="; ")
    print("reconciled with the messages" if not open_lines else f"NOT reconciled in {open_lines} currencies")
    if valuable:
        width = max(28, *(len(name) for name, *_ in valuable))
        title = "Most valuable micro-segments"
        print(f"\n  {title:<{width}}  customers  predicted LTV, 365 days, {currency} (95 % interval)")
        for name, customers, value, low, high in valuable:
            print(f"  {name:<{width}}  {customers:>9,}  {value:>14,.2f}   {low:,.2f} to {high:,.2f}")
    if done.published:
        print(f"\n  Published   {shown}  ({size:,.1f} MB)")
    else:
        print(f"\n  Nothing new: the last publication stands  {shown}")
    total = sum(done.seconds.values())
    print("  Seconds     " + ", ".join(f"{stage} {wall:.1f}" for stage, wall in done.seconds.items()), f"= {total:.1f}")
    if done.layer_seconds:
        layers = sorted(done.layer_seconds.items(), key=lambda layer: -layer[1])
        print("              within dbt: " + ", ".join(f"{layer} {wall:.1f}" for layer, wall in layers))
    for text in unusual:
        print(f"  Unusual     {text}")
    for note in done.notes:
        print(f"  Note        {note}")
    print()
