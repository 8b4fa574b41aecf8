"""The audiences, how many each reaches, and what each of its steps costs."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from orchestration.atlas.blocks import Column, Grid, Table, Text
from orchestration.atlas.reader import Publication

ORDER = 40
TITLE = "Audiences"

AUDIENCES = """
    select
        audience,
        customers,
        email_contactable_customers,
        predicted_ltv_365d,
        case when is_too_small then 'too small' end,
        rule
    from marts.audiences
    order by customers desc, audience_id
"""
LARGEST = 40
FUNNELS = f"""
    select
        audiences.audience_id,
        audiences.audience,
        funnel.rule,
        funnel.customers_after,
        funnel.customers_alone,
        funnel.customers_without,
        case when funnel.is_too_small then 'too small' end
    from marts.audience_funnel as funnel
    inner join (
        select audience_id, audience, customers
        from marts.audiences
        order by customers desc, audience_id
        limit {LARGEST}
    ) as audiences on funnel.audience_id = audiences.audience_id
    order by audiences.customers desc, audiences.audience_id, funnel.step
"""


def blocks(published: Publication) -> list[Any]:
    funnels: defaultdict[tuple[str, str], list[list[Any]]] = defaultdict(list)
    for audience_id, audience, *step in published.rows(FUNNELS):
        funnels[audience_id, audience].append(step)
    return [
        Table(
            "All audiences",
            (
                Column("Audience"),
                Column("Customers", "count", has_bar=True),
                Column("Reachable", "count"),
                Column("Predicted LTV, 365 days", "money"),
                Column("Remark", "flag"),
                Column("Rule"),
            ),
            published.rows(AUDIENCES),
            "There are no audiences: add some to seeds/rules/audience_rules.csv.",
            note="Too small: fewer customers than a macro-segment needs to be shown.",
            search="audiences",
        ),
        Text(
            "Step by step: how many customers are left after a step and those before it, how many pass the step alone, "
            "and how many the audience would have without it."
        ),
        Grid(
            [
                Table(
                    audience,
                    (
                        Column("Step"),
                        Column("Left", "count", has_bar=True),
                        Column("Alone", "count"),
                        Column("Without", "count"),
                        Column("Remark", "flag"),
                    ),
                    steps,
                    "",
                )
                for (_, audience), steps in funnels.items()
            ]
        ),
    ]
