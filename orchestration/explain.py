"""`make explain CUSTOMER=...`: why a customer is in a segment, layer by layer, and what would move the customer.

Everything is read from the publication and from the warehouse it was made from, with the rules that were in force; the
tree of the snapshot is walked here once more, for the customer and for what one change would make of the customer. A
change is of one attribute, all others as they are, in the tree as it stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

from orchestration import datasets, dbt
from orchestration.errors import StrataError
from orchestration.lock import writer_lock
from orchestration.quoting import literal
from orchestration.refresh import books_of_publication
from orchestration.settings import Settings

#: The number behind each attribute that is a band of one; columns of relation `numbers`.
NUMBERS = {
    "age_band": "age", "income_band": "income", "household_size": "people_in_household", "children": "children",
    "company_size_band": "employees", "nps_group": "nps_score", "visits_band": "sessions_90d",
    "purchase_intent": "intent_points", "orders_band": "orders", "frequency_band": "orders_365d",
    "seasonality": "top_quarter_share", "returner": "refund_share", "repurchaser": "repeat_share",
    "channel_preference": "in_store_share", "category_breadth": "categories", "long_tail_taste": "long_tail_share",
    "price_sensitivity": "discounted_share", "quality_sensitivity": "price_ratio", "delivery_sensitivity": "fast_share",
    "purchasing_frequency": "average_days_between_orders", "urgency": "urgent_share", "order_size": "items_per_order",
    "growth_profile": "growth", "loyalty": "month_share", "tenure_band": "days_since_first_order",
    "recency_score": "days_since_last_order", "frequency_score": "orders", "monetary_score": "net_revenue",
    "ltv_tier": "predicted_ltv_365d", "order_value_band": "average_order_value", "revenue_band": "net_revenue_365d",
}  # fmt: skip
#: Attributes whose number never falls.
RISING = ("age_band", "tenure_band", "orders_band", "frequency_score")
LIFECYCLE_NUMBERS = ("orders", "days_since_last_order", "days_between_last_orders", "days_since_first_order")
SCORES = ("recency_score", "frequency_score", "monetary_score")
#: So many changes are shown, and so many rules that did not match.
SHOWN_CHANGES, SHOWN_RULES = 3, 8

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Band:
    """A value of an attribute, and the numbers that have it: from `low` to `high`, which is in it or not."""

    value: str
    low: float
    high: float
    has_high: bool


@dataclass(frozen=True)
class Change:
    """What would give an attribute another value. Without a number, the value itself is what changes."""

    attribute: str
    before: str
    after: str
    name: str = ""
    number: float = 0.0
    target: float = 0.0
    is_below: bool = False
    """Is the target the first number that is too high?"""
    words: str = ""
    """What has to happen, where that is no number alone."""

    @property
    def size(self) -> float:
        """How large the change is: as a share of itself and the number, so below 1; 2 where there is no number."""
        if not self.name:
            return 2.0
        distance = abs(self.target - self.number)
        return distance / (distance + abs(self.number)) if distance else 0.0


@dataclass(frozen=True)
class Tree:
    """The rules and the tree of one snapshot."""

    rules: Sequence[Row]
    """Rows of macro_segment_rules by priority."""
    bases: Mapping[str, Row]
    """Macro-segment -> its row of micro_bases."""
    layers: Mapping[str, Sequence[str]]
    """Layer set -> attributes, in their order."""
    splits: Mapping[tuple[int, str, str], Row]
    """Layer, node and value -> row of micro_splits."""
    names: Mapping[str, str]
    """Node -> micro-segment."""


@dataclass(frozen=True)
class Step:
    """What one layer makes of a customer."""

    layer: int
    attribute: str
    value: str
    node: str
    """Where the customer is before."""
    child: str
    """Where the customer is after."""
    split: Row | None
    """The value's row of micro_splits; None where nobody in the node has the value."""


@dataclass(frozen=True)
class Place:
    """Where a customer with some attributes is."""

    macro_segment: str
    base: Row | None
    """The row of micro_bases; None where nobody is in the macro-segment."""
    steps: Sequence[Step]

    @property
    def segment(self) -> str | None:
        """The id of the micro-segment; None where none is shown."""
        if not self.base or not self.base["base_id"]:
            return None
        return self.steps[-1].child if self.steps else self.base["base_id"]


def conditions_of(rule: Row) -> dict[str, str]:
    """What a rule of the macro-segments asks for, by dimension."""
    return {name: text for name, text in rule.items() if text is not None and name not in ("priority", "macro_segment")}


def fails_by(rule: Row, attributes: Mapping[str, str]) -> str | None:
    """The first dimension by which a rule does not match; None where it does."""
    asked = conditions_of(rule)
    return next((name for name, value in asked.items() if attributes[name] != value), None)


def place(attributes: Mapping[str, str], tree: Tree) -> Place:
    """Walk from the first rule that matches down the layers of its base, as macros/walk_tree.sql does."""
    macro_segment = next(rule["macro_segment"] for rule in tree.rules if fails_by(rule, attributes) is None)
    base = tree.bases.get(macro_segment)
    steps: list[Step] = []
    if base and base["base_id"]:
        node = base["base_id"]
        others = {
            (layer, parent): row["other_id"] for (layer, parent, _), row in tree.splits.items() if row["is_split"]
        }
        for layer, attribute in enumerate(tree.layers.get(base["layer_set"], ()), start=1):
            split = tree.splits.get((layer, node, attributes[attribute]))
            child = split["node_id"] if split else others.get((layer, node), node)
            steps.append(Step(layer, attribute, attributes[attribute], node, child, split))
            node = child
    return Place(macro_segment, base, steps)


def reach(number: float, band: Band) -> tuple[float, bool] | None:
    """The nearest number in a band, and whether it is the first one above it; None where the number is in it."""
    if number < band.low:
        return band.low, False
    if number > band.high or (number == band.high and not band.has_high):
        return band.high, not band.has_high
    return None


def band_changes(attribute: str, value: str, number: float | None, bands: Iterable[Band]) -> list[Change]:
    """What would move a number into each other band, nearest first."""
    if number is None:
        return []
    found = []
    for band in bands:
        reached = reach(number, band) if band.value != value else None
        if reached and not (attribute in RISING and reached[0] <= number):
            found.append(Change(attribute, value, band.value, NUMBERS[attribute], number, *reached))
    return sorted(found, key=lambda change: (abs(change.target - number), change.after))


def rfm_changes(group: str, scores: Mapping[str, str], changes: Iterable[Change], rules: Sequence[Row]) -> list[Change]:
    """What would give another RFM group, by way of one score."""
    found: dict[str, Change] = {}
    for change in sorted(changes, key=lambda one: (one.size, one.attribute, one.after)):
        after = rfm_group({**scores, change.attribute: change.after}, rules)
        if after not in (group, None) and after not in found:
            found[after] = Change(
                "rfm_group", group, after, change.name, change.number, change.target, change.is_below,
                f"{change.attribute} {change.before} -> {change.after}",
            )  # fmt: skip
    return list(found.values())


def rfm_group(scores: Mapping[str, str], rules: Sequence[Row]) -> str | None:
    """The first group whose ranges hold the three scores."""
    for rule in rules:
        limits = [(rule[f"{score.split('_')[0]}_from"], rule[f"{score.split('_')[0]}_to"]) for score in SCORES]
        if all(
            (low is None or low <= int(scores[score])) and (high is None or int(scores[score]) <= high)
            for score, (low, high) in zip(SCORES, limits, strict=True)
        ):
            return rule["rfm_group"]
    return None


def lifecycle_rule(numbers: Row, rules: Sequence[Row]) -> Row | None:
    """The first rule of the lifecycle stages that matches; a number that is not there is -1."""
    return next((rule for rule in rules if _is_in_stage(numbers, rule)), None)


def _is_in_stage(numbers: Row, rule: Row) -> bool:
    for name, limit in rule.items():
        if limit is None or name in ("priority", "lifecycle_stage"):
            continue
        if name == "is_known":
            if bool(numbers[name]) != limit:
                return False
            continue
        column, _, end = name.rpartition("_")
        number = -1 if numbers[column] is None else numbers[column]
        if (number < limit) if end == "from" else (number > limit):
            return False
    return True


def lifecycle_changes(stage: str, numbers: Row, rules: Sequence[Row]) -> list[Change]:
    """What time without an order, and orders on this day, would make of the lifecycle stage."""
    found: dict[str, Change] = {}
    silence, orders = numbers["days_since_last_order"], int(numbers["orders"])
    if silence is not None:
        waits = {
            int(limit + (name.endswith("_to")) - numbers[column])
            for rule in rules
            for name, limit in rule.items()
            for column in [name.rpartition("_")[0]]
            if limit is not None and column in ("days_since_last_order", "days_since_first_order")
        }
        for wait in sorted(wait for wait in waits if wait > 0):
            later = {name: numbers[name] + wait for name in ("days_since_last_order", "days_since_first_order")}
            rule = lifecycle_rule({**numbers, **later}, rules)
            if rule and rule["lifecycle_stage"] not in (stage, *found):
                found[rule["lifecycle_stage"]] = Change(
                    "lifecycle_stage", stage, rule["lifecycle_stage"], "days_since_last_order", silence, silence + wait,
                    words=f"{wait} days without an order",
                )  # fmt: skip
    most = max((rule["orders_from"] or 0 for rule in rules), default=0)
    for more in range(1, max(most - orders, 1) + 1):
        ordered = {
            **numbers, "is_known": True, "orders": orders + more, "days_since_last_order": 0,
            "days_since_first_order": numbers["days_since_first_order"] if orders else 0,
            "days_between_last_orders": silence if more == 1 else 0,
        }  # fmt: skip
        rule = lifecycle_rule(ordered, rules)
        if rule and rule["lifecycle_stage"] not in (stage, *found):
            found[rule["lifecycle_stage"]] = Change(
                "lifecycle_stage", stage, rule["lifecycle_stage"], "orders", orders, orders + more,
                words="an order on this day" if more == 1 else f"{more} orders on this day",
            )  # fmt: skip
    return list(found.values())


def moving_changes(attributes: Mapping[str, str], changes: Iterable[Change], tree: Tree) -> list[tuple[Change, Place]]:
    """The smallest change of each attribute that would move the customer to another micro-segment, smallest first."""
    here = place(attributes, tree).segment
    found: dict[str, tuple[Change, Place]] = {}
    for change in sorted(changes, key=lambda one: (one.size, one.attribute, one.after)):
        there = place({**attributes, change.attribute: change.after}, tree)
        if there.segment not in (here, None):
            found.setdefault(change.attribute, (change, there))
    return list(found.values())


def size_in_words(split: Row | None, opens_at: float) -> str:
    """Why a value is a group of its own in its node, or not. `opens_at`: in minimum sizes."""
    if split is None:
        return "nobody else here has it"
    count, least = int(split["customers"]), int(split["min_customers"])
    have = f"{count:,} customers here have it"
    if not split["is_split"]:
        return f"{have}; the node is not split: it takes two groups of {least:,}"
    if split["is_kept"]:
        room = f", which closes below {least:,}" if count < opens_at * least else f", at least {least:,}"
        return f"{have}{room}: a group of its own"
    if count < least:
        return f"{have}, fewer than {least:,}: in the remainder"
    if not split["is_open"]:
        return (
            f"{have}, but it had fewer than {least:,} before, and opens at {math.ceil(opens_at * least):,} on a "
            "month-end: in the remainder"
        )
    return f"{have}; as the smallest it joins the remainder, which would have fewer than {least:,} without it"


def figure(number: float) -> str:
    """A number as people read it: whole ones as such, small ones with four digits, others with two."""
    if float(number).is_integer():
        return f"{int(number):,}"
    return f"{number:,.2f}" if abs(number) >= 10 else f"{number:.4f}".rstrip("0")


def change_in_words(change: Change) -> str:
    """The threshold and the margin of a change: days_since_last_order 181, 10 more (10 days without an order)."""
    margin = change.target - change.number
    more = f"{figure(abs(margin))} {'more' if margin > 0 else 'less'}" if margin else "any less"
    words = f" ({change.words})" if change.words else ""
    return f"{change.name} {'below ' if change.is_below else ''}{figure(change.target)}, {more}{words}"


@dataclass(frozen=True)
class Explanation:
    """All that is said of a customer on a snapshot date."""

    dataset: str
    customer: str
    day: date
    attributes: Mapping[str, str]
    sources: Mapping[str, str]
    """Attribute -> where its value comes from, for those without a number."""
    tree: Tree
    place: Place
    rule: Row | None
    """The rule of the lifecycle stage."""
    numbers: Row
    changes: Mapping[str, Sequence[Change]]
    """Attribute -> what would give it another value, nearest first."""
    moving: Sequence[tuple[Change, Place]]
    audiences: Sequence[tuple[str, str, str]] | None
    """Audience, its id and rule; None where audiences are not kept for the day."""
    misses: Sequence[tuple[str, str, int, str]] | None
    """Audience, its id, the step missed and its rule; None for days before the publication's."""
    opens_at: float


def explain(settings: Settings, customer: str, day: date | None = None) -> Explanation:
    """Why a customer was in a segment on a snapshot date; on the publication's without one.

    Raises StrataError where there is no such customer or snapshot, naming what there is.
    """
    variables, _ = datasets.configuration_of(settings.dataset)
    opens_at = float(dbt.business_variables(variables)["segment_opens_at"])
    with writer_lock(settings):
        books, as_of = books_of_publication(settings)
        day = day or as_of
        if day not in books.snapshots:
            kept = ", ".join(map(str, books.snapshots))
            raise StrataError(f"There is no snapshot of {day}. {settings.dataset!r} keeps {kept}.")
        with duckdb.connect(str(settings.published / "strata.duckdb"), read_only=True) as db:
            db.execute("set threads = 2")
            db.execute(f"attach {literal(settings.warehouse)} as warehouse (read_only)")
            return _explain(db, settings, customer, day, is_latest=day == as_of, opens_at=opens_at)


def _explain(
    db: duckdb.DuckDBPyConnection, settings: Settings, customer: str, day: date, *, is_latest: bool, opens_at: float
) -> Explanation:
    def rows(query: str, **parameters: Any) -> list[Row]:
        found = db.execute(query, parameters)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    attributes = rows(
        """
        select attributes.*, macro.* exclude (snapshot_date, customer_id)
        from warehouse.micro_segments.micro_attributes as attributes
        inner join warehouse.macro_segments.macro_attributes as macro using (snapshot_date, customer_id)
        where snapshot_date = $day and customer_id = $customer
        """,
        day=day, customer=customer,
    )  # fmt: skip
    if not attributes:
        raise StrataError(unknown_customer(rows, settings.dataset, customer, day))
    known = attributes[0]
    tree = read_tree(rows, day)
    here = place(known, tree)
    db.execute(f"create temp table numbers as {NUMBERS_OF_A_DAY}", {"day": day})
    [numbers] = rows("from numbers where customer_id = $customer", customer=customer)
    stages = rows("from warehouse.seeds.lifecycle_stages order by priority")
    own_layers = [step.attribute for step in here.steps]
    looked_at = dict.fromkeys([*own_layers, *(name for rule in tree.rules for name in conditions_of(rule))])
    changes = {name: changes_of(rows, name, known, numbers, tree, stages, day) for name in looked_at}
    members = (
        """
        select audience, audience_id, rule
        from warehouse.micro_segments.micro_audience_members
        inner join marts.audiences using (audience_id)
        where snapshot_date = $day and customer_id = $customer order by audience, audience_id
        """
    )  # fmt: skip
    [[is_kept]] = db.execute(
        "select is_month_end or is_latest from marts.customer_snapshots where snapshot_date = ? limit 1", [day]
    ).fetchall()
    misses = """
        select audience, audience_id, step, misses.rule
        from marts.audience_near_misses as misses
        inner join marts.audiences using (audience_id)
        where customer_id = $customer order by audience, audience_id, step
    """
    return Explanation(
        dataset=settings.dataset,
        customer=customer,
        day=day,
        attributes=known,
        sources={row["attribute"]: row["source"] for row in rows("from warehouse.seeds.attributes")},
        tree=tree,
        place=here,
        rule=lifecycle_rule(numbers, stages),
        numbers=numbers,
        changes=changes,
        moving=moving_changes(known, [change for found in changes.values() for change in found], tree),
        audiences=[tuple(row.values()) for row in rows(members, day=day, customer=customer)] if is_kept else None,
        misses=[tuple(row.values()) for row in rows(misses, customer=customer)] if is_latest else None,
        opens_at=opens_at,
    )


def read_tree(rows: Any, day: date) -> Tree:
    """The rules and the tree of a snapshot. rows(query, **parameters) gives dictionaries."""
    layers: dict[str, list[str]] = {}
    for row in rows("from warehouse.micro_segments.micro_layers order by layer_set, layer"):
        layers.setdefault(row["layer_set"], []).append(row["attribute"])
    bases = rows("from warehouse.micro_segments.micro_bases where snapshot_date = $day", day=day)
    splits = rows("from warehouse.micro_segments.micro_splits where snapshot_date = $day", day=day)
    nodes = rows("from warehouse.micro_segments.micro_nodes where snapshot_date = $day", day=day)
    return Tree(
        rules=rows("from warehouse.seeds.macro_segment_rules order by priority"),
        bases={row["macro_segment"]: row for row in bases},
        layers=layers,
        splits={(row["layer"], row["parent_id"], row["value"]): row for row in splits},
        names={row["node_id"]: row["micro_segment"] for row in nodes},
    )


def read_bands(rows: Any, attribute: str, day: date) -> list[Band]:
    """The bands of an attribute's number: by the seed, or as the quantiles of the buyers had them on the day."""
    if fixed := rows("from warehouse.seeds.bands where attribute = $attribute", attribute=attribute):
        return [Band(row["band"], float(row["from_value"]), float(row["below_value"]), False) for row in fixed]
    if not rows("from warehouse.seeds.quantile_bands where attribute = $attribute limit 1", attribute=attribute):
        return []
    name = NUMBERS[attribute]
    return [
        Band(row["value"], float(row["low"]), float(row["high"]), True)
        for row in rows(
            f"""
            select {attribute} as value, min(numbers.{name}) as low, max(numbers.{name}) as high
            from warehouse.micro_segments.micro_attributes as attributes
            inner join numbers using (customer_id)
            where snapshot_date = $day and {attribute} not in ('none', 'unknown') and numbers.{name} is not null
            group by all
            """,
            day=day,
        )
    ]


def changes_of(
    rows: Any, attribute: str, known: Mapping[str, str], numbers: Row, tree: Tree, stages: Sequence[Row], day: date
) -> list[Change]:
    """What would give an attribute another value: by its number, by its rules, or by being another one."""
    value = known[attribute]
    if attribute == "lifecycle_stage":
        return lifecycle_changes(value, numbers, stages)
    if attribute == "rfm_group":
        if value == "none":
            return []
        scores = {name: known[name] for name in SCORES}
        steps = [change for name in SCORES for change in changes_of(rows, name, known, numbers, tree, stages, day)]
        return rfm_changes(value, scores, steps, rows("from warehouse.seeds.rfm_groups order by priority"))
    if attribute in NUMBERS:
        number, bands = numbers[NUMBERS[attribute]], read_bands(rows, attribute, day)
        if number is not None and any(band.value == value for band in bands):
            return band_changes(attribute, value, float(number), bands)
        if value == "none":
            return []
    seen = {row["value"] for row in tree.splits.values() if row["attribute"] == attribute and row["customers"]}
    named = {rule[attribute] for rule in tree.rules if conditions_of(rule).get(attribute)}
    return [Change(attribute, value, other) for other in sorted((seen | named) - {value, "unknown", "none"})]


def unknown_customer(rows: Any, dataset: str, customer: str, day: date) -> str:
    """What to say of a customer whom the snapshot does not have."""
    seen = rows(
        "select min(snapshot_date) as first, max(snapshot_date) as last from marts.customer_snapshots "
        "where customer_id = $customer", customer=customer,
    )  # fmt: skip
    if seen and seen[0]["first"]:
        return (
            f"{customer!r} is not in the snapshot of {day}, but in those from {seen[0]['first']} to {seen[0]['last']}."
        )
    examples = rows(
        "select customer_id, count(*) over () as customers from marts.customer_snapshots "
        "where snapshot_date = $day order by predicted_ltv_365d desc nulls last, customer_id limit 3", day=day,
    )  # fmt: skip
    names = ", ".join(row["customer_id"] for row in examples)
    customers = examples[0]["customers"] if examples else 0
    return (
        f"There is no customer {customer!r} in {dataset!r}. On {day} there are {customers:,}, the most valuable "
        f"of them {names}. An id that is an e-mail address or a phone number is hashed: take it from marts.customers."
    )


#: What attributes are bands of, for all customers of the day.
NUMBERS_OF_A_DAY = """
    with customers as (
        select *, date_diff('day', first_order_date, snapshot_date) as days_since_first_order
        from warehouse.intermediate.int_customer_snapshots
        where snapshot_date = $day
    )

    select
        customers.customer_id, customers.is_known, customers.orders, customers.orders_365d, customers.net_revenue,
        customers.net_revenue_365d, customers.revenue / nullif(customers.orders, 0) as average_order_value,
        customers.days_since_last_order, customers.days_between_last_orders, customers.days_since_first_order,
        customers.average_days_between_orders, customers.sessions_90d, demographic.age,
        case when traits.income_from = traits.income_to then traits.income_from end as income,
        case when traits.household_size_from = traits.household_size_to then traits.household_size_from end
            as people_in_household,
        case when traits.children_from = traits.children_to then traits.children_from end as children,
        case when traits.employees_from = traits.employees_to then traits.employees_from end as employees,
        surveys.nps_score, visiting.intent_points, buying.top_quarter_share, buying.refund_share, buying.repeat_share,
        buying.in_store_share, usage.categories, usage.long_tail_share, purchasing.discounted_share,
        purchasing.price_ratio, purchasing.fast_share, situations.urgent_share, situations.items_per_order,
        worth.growth, worth.month_share, lifetime_values.predicted_ltv_365d
    from customers
    left join warehouse.intermediate.int_demographic_snapshots as demographic using (snapshot_date, customer_id)
    left join warehouse.intermediate.int_trait_snapshots as traits using (snapshot_date, customer_id)
    left join warehouse.intermediate.int_survey_snapshots as surveys using (snapshot_date, customer_id)
    left join warehouse.intermediate.int_visit_behavior_snapshots as visiting using (snapshot_date, customer_id)
    left join warehouse.intermediate.int_behavioral_snapshots as buying using (snapshot_date, customer_id)
    left join warehouse.intermediate.int_product_usage_snapshots as usage using (snapshot_date, customer_id)
    left join warehouse.intermediate.int_purchasing_snapshots as purchasing using (snapshot_date, customer_id)
    left join warehouse.intermediate.int_situational_snapshots as situations using (snapshot_date, customer_id)
    left join warehouse.intermediate.int_value_snapshots as worth using (snapshot_date, customer_id)
    left join warehouse.lifetime_value.ltv_customer_snapshots as lifetime_values using (snapshot_date, customer_id)
"""


def lines_of(found: Explanation) -> list[str]:
    """An explanation as aligned lines."""
    return [
        "",
        f"Why {found.customer} is where it is · {found.dataset} · as of {found.day}",
        "",
        *_macro_lines(found),
        "",
        *_micro_lines(found),
        "",
        *_change_lines(found),
        "",
        *_audience_lines(found),
        "",
    ]


def _macro_lines(found: Explanation) -> list[str]:
    lines = [f"  Macro-segment   {found.place.macro_segment}"]
    matched = next(rule for rule in found.tree.rules if fails_by(rule, found.attributes) is None)
    before = found.tree.rules[: found.tree.rules.index(matched)]
    width = max(len(rule["macro_segment"]) for rule in [*before, matched])
    for rule in before[:SHOWN_RULES]:
        name = fails_by(rule, found.attributes)
        lines.append(
            f"    rule {rule['priority']:>4}  {rule['macro_segment']:<{width}}  no: {name} is "
            f"{found.attributes[name]}, not {rule[name]}"
        )
    if len(before) > SHOWN_RULES:
        lines.append(f"               and {len(before) - SHOWN_RULES} more that do not match")
    asked = ", ".join(f"{name} = {value}" for name, value in conditions_of(matched).items()) or "it takes everybody"
    lines.append(f"    rule {matched['priority']:>4}  {matched['macro_segment']:<{width}}  yes: {asked}")
    base = found.place.base
    if base and base["base"] != found.place.macro_segment:
        split = {**base, "is_kept": False, "is_split": base["base"] == "Other customers"}
        lines.append(f"    shown as   {base['base'] or 'nothing'}: {size_in_words(split, found.opens_at)}")
    return lines


def _micro_lines(found: Explanation) -> list[str]:
    segment = found.place.segment
    if segment is None:
        return ["  Micro-segment   none: all customers together are too few to show"]
    lines = [f"  Micro-segment   {found.tree.names.get(segment, segment)}"]
    for step in found.place.steps:
        lines += [
            "",
            f"    layer {step.layer}   {step.attribute} = {step.value}",
            f"      why     {_why(found, step.attribute)}",
        ]
        near = sorted((one for one in found.changes[step.attribute] if one.name), key=lambda one: (one.size, one.after))
        lines += [f"      else    {one.after} at {change_in_words(one)}" for one in near[:SHOWN_CHANGES]]
        lines.append(f"      size    {size_in_words(step.split, found.opens_at)}")
        if step.child != step.node:
            lines.append(f"      so      {found.tree.names.get(step.child, step.child)}")
    return lines


def _why(found: Explanation, attribute: str) -> str:
    if attribute == "lifecycle_stage" and found.rule:
        values = [
            f"{name} {figure(found.numbers[name])}" for name in LIFECYCLE_NUMBERS if found.numbers[name] is not None
        ]
        return f"rule {found.rule['priority']} of lifecycle_stages: {', '.join(values)}"
    if attribute == "rfm_group":
        return ", ".join(
            f"{name} {found.attributes[name]} ({NUMBERS[name]} {figure(found.numbers[NUMBERS[name]])})"
            for name in SCORES
            if found.numbers[NUMBERS[name]] is not None
        )
    number = found.numbers[NUMBERS[attribute]] if attribute in NUMBERS else None
    if number is not None and found.attributes[attribute] != "unknown":
        return f"{NUMBERS[attribute]} {figure(number)}"
    return f"from {found.sources[attribute]}"


def _change_lines(found: Explanation) -> list[str]:
    if not found.moving:
        return ["  Smallest change that would move the customer: none of one attribute alone"]
    lines = ["  Smallest changes of one attribute that would move the customer"]
    for number, (change, there) in enumerate(found.moving[:SHOWN_CHANGES], start=1):
        at = f" at {change_in_words(change)}" if change.name else ""
        lines += [
            f"    {number}.  {change.attribute} {change.before} -> {change.after}{at}",
            f"        to {found.tree.names.get(str(there.segment), there.segment)}",
        ]
    return lines


def _audience_lines(found: Explanation) -> list[str]:
    if found.audiences is None:
        return ["  Audiences       kept for month-ends and the publication's day only"]
    lines = ["  Audiences"]
    lines += [f"    in      {audience} ({name}): {rule}" for audience, name, rule in found.audiences]
    if found.misses is None:
        lines.append("    missed  known for the publication's day only")
    for audience, name, step, rule in found.misses or ():
        lines.append(f"    missed  {audience} ({name}) by step {step}: {rule}")
    return lines if len(lines) > 1 else ["  Audiences       in none, and missing none by one step"]
