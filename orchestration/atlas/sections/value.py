"""Who comes back, what brought them, and what new and repeat customers buy."""

from __future__ import annotations

from typing import Any

from orchestration.atlas.blocks import Chart, Column, Table
from orchestration.atlas.reader import Publication

ORDER = 50
TITLE = "Value"

COHORTS = 24
# Only months that are over: of the current one, buyers of its last days are still missing.
RETENTION = f"""
    with cohorts as (
        select cohort_month, count(*) as buyers
        from marts.customers
        where cohort_month is not null
        group by cohort_month
        order by cohort_month desc
        limit {COHORTS}
    ),
    active as (
        select cohort_month, months_since_first_order as months, count(distinct customer_id) as buyers
        from marts.orders
        where customer_id is not null and order_status <> 'cancelled'
        group by cohort_month, months_since_first_order
    )
    select
        cohorts.cohort_month,
        cohorts.buyers,
        month.number as months,
        coalesce(active.buyers, 0) / cohorts.buyers as share
    from cohorts
    cross join range(1, {COHORTS + 1}) as month (number)
    left join active on cohorts.cohort_month = active.cohort_month and month.number = active.months
    where cohorts.cohort_month + to_months(cast(month.number as integer) + 1) <= getvariable('as_of') + 1
    order by cohorts.cohort_month, month.number
"""
NEW_OR_REPEAT = """
    select
        date_trunc('month', order_date) as month,
        coalesce(sum(net_revenue) filter (where order_number = 1), 0) as first_orders,
        coalesce(sum(net_revenue) filter (where order_number > 1), 0) as later_orders,
        coalesce(sum(net_revenue) filter (where order_number is null), 0) as without_customer,
        count_if(order_number = 1) as new_buyers
    from marts.orders
    where order_status <> 'cancelled' and order_date > getvariable('as_of') - interval 3 year
    group by date_trunc('month', order_date)
    order by month
"""
SOURCES_SHOWN = 15
SOURCES = f"""
    with sources as (
        select
            acquisition_source,
            count(*) as buyers,
            count_if(orders > 1) as repeat_buyers,
            sum(net_revenue) as net_revenue,
            sum(predicted_ltv_365d) as predicted_ltv,
            count_if(is_email_contactable) as reachable,
            row_number() over (order by count(*) desc, acquisition_source) as place
        from marts.customers
        where is_buyer
        group by acquisition_source
    )
    select
        case when place <= {SOURCES_SHOWN} then acquisition_source else 'all others' end as source,
        cast(sum(buyers) as bigint) as buyers,
        sum(repeat_buyers) / sum(buyers) as repeat_share,
        cast(sum(reachable) as bigint) as reachable,
        sum(net_revenue) as net_revenue,
        cast(sum(net_revenue) / sum(buyers) as decimal(18, 2)) as net_revenue_per_buyer,
        cast(sum(predicted_ltv) / sum(buyers) as decimal(18, 2)) as predicted_ltv_per_buyer
    from sources
    group by source, least(place, {SOURCES_SHOWN + 1})
    order by least(place, {SOURCES_SHOWN + 1})
"""


def blocks(published: Publication) -> list[Any]:
    return [
        _revenue(published),
        _retention(published),
        Table(
            "What first brought the buyers",
            (
                Column("Acquisition source"),
                Column("Buyers", "count", has_bar=True),
                Column("Bought again", "rate"),
                Column("Reachable", "count"),
                Column("Net revenue to date", "money"),
                Column("Net revenue per buyer", "money"),
                Column("Predicted LTV per buyer", "money", has_bar=True),
            ),
            published.rows(SOURCES),
            "Nobody has ordered yet.",
            note="By the first visit; unknown where no visit is known, as with nothing but orders.",
        ),
    ]


def _revenue(published: Publication) -> Chart:
    months = published.rows(NEW_OR_REPEAT)
    parts = [
        ("repeat customers", 2, "var(--series-1)"),
        ("new customers", 1, "var(--series-2)"),
        ("customer unknown", 3, "var(--series-3)"),
    ]
    is_cut = bool(months) and (
        published.row("select is_month_end from marts.calendar where calendar_date = getvariable('as_of')") != (True,)
    )
    return Chart(
        f"Net revenue by month, {published.currency}",
        "Net revenue of each month's orders, of new and of repeat customers.",
        [
            {
                "type": "bar",
                "name": name,
                "x": [row[0] for row in months],
                "y": [row[position] for row in months],
                "marker": {"color": color},
                "hovertemplate": "%{x|%Y-%m}: %{y:,.0f}<extra>%{fullData.name}</extra>",
            }
            for name, position, color in parts
            if any(row[position] for row in months)
        ],
        "There are no orders.",
        {"barmode": "relative", "bargap": 0.25, "xaxis": {"tickformat": "%Y-%m"}},
        note="New: a customer's first order; repeat: all later ones."
        + (f" The last month ends on {published.as_of}." if is_cut else ""),
    )


def _retention(published: Publication) -> Chart:
    found = published.rows(RETENTION)
    cohorts = {month: buyers for month, buyers, *_ in found}
    longest = max((months for *_, months, _ in found), default=0)
    shares = {(month, months): share for month, _, months, share in found}
    labels = [f"{month:%Y-%m} · {buyers:,}" for month, buyers in cohorts.items()]
    trace = {
        "type": "heatmap",
        "x": list(range(1, longest + 1)),
        "y": labels,
        "z": [[shares.get((month, months)) for months in range(1, longest + 1)] for month in cohorts],
        "colorscale": [[step / 4, f"var(--scale-{step})"] for step in range(5)],
        "zmin": 0,
        "zmax": max((share for *_, share in found), default=1),
        "texttemplate": "%{z:.0%}",
        "textfont": {"size": 10},
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        "hoverongaps": False,
        "hovertemplate": "%{y} buyers: %{z:.1%} bought in month %{x} after<extra></extra>",
    }
    return Chart(
        "Retention: buyers of a month who buy again in the months after",
        f"{len(cohorts)} cohorts by month of the first order, over up to {longest} months.",
        [trace] if found else [],
        "No month of first orders has a full month after it yet.",
        {
            "xaxis": {"title": {"text": "months after the first order"}, "showgrid": False, "dtick": 1},
            "yaxis": {"type": "category", "autorange": "reversed", "showgrid": False, "dtick": 1},
        },
        note="Month of the first order and its buyers; share of them with an order in each later month that is over.",
        height=140 + 20 * len(cohorts),
        least_width=620,
    )
