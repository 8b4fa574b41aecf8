"""`make bench-segments`: what segments explain of later spend, beside k-means and a regression tree of as many groups.

For month-ends with half a year after them, five-fold cross-validation over customers, three times: each is predicted by
the mean log later spend of the other folds' customers in the same group. Layers of `auto` are chosen anew in every fold
by the rule of `make propose-layers`, so that what is chosen never sees what is predicted. k-means sees the numbers
behind the attributes of purchase, the tree these and all attributes, segments only the attributes. scikit-learn is
needed here and nowhere else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Annotated

import duckdb
import numpy as np
import typer

from orchestration.layering import Node, Sums, judge, kept_values, ranked
from orchestration.propose import candidate_attributes, choose_month_ends
from orchestration.settings import Settings

FOLDS = 5
SEEDS = (1, 2, 3)
MOST_LAYERS = 4
PENALTY = 2.0
NUMBERS = (
    "orders", "net_revenue", "orders_90d", "net_revenue_90d", "orders_365d", "net_revenue_365d", "sessions_90d",
    "days_since_last_order", "predicted_ltv_365d",
)  # fmt: skip
#: (what is compared, with what, by which measure, the least that is aimed at)
TARGETS = (
    ("auto", "regression tree", "ratio", 0.92),
    ("auto", "k-means", "ratio", 0.95),
    ("auto", "RFM groups", "difference", 0.05),
)

Groups = np.ndarray
"""A group's label per customer."""


@dataclass(frozen=True)
class Customers:
    """The customers of one month-end: arrays of one length."""

    spend: np.ndarray
    macro_segment: np.ndarray
    micro_segment: np.ndarray
    rfm_group: np.ndarray
    attributes: dict[str, tuple[np.ndarray, np.ndarray]]
    """Attribute -> its values in alphabetical order, and the place of each customer's among them."""
    numbers: np.ndarray
    """(customers, numbers), on a logarithmic scale and standardised."""


def read_customers(db: duckdb.DuckDBPyConnection, day: object, attributes: Sequence[str]) -> Customers:
    """All customers in segments on a month-end."""
    columns = ", ".join(f"coalesce(attributes.{name}, 'unknown') as {name}" for name in attributes)
    numbers = ", ".join(f"cast(coalesce({name}, -1) as double) as number_{name}" for name in NUMBERS)
    found = db.execute(
        f"""
        select
            cast(log_later_spend as double) as spend, segments.macro_segment, segments.micro_segment_id,
            attributes.rfm_group as rfm, {columns}, {numbers}
        from micro_segments.micro_later_spend as later
        inner join micro_segments.micro_customer_snapshots as segments using (snapshot_date, customer_id)
        inner join micro_segments.micro_attributes as attributes using (snapshot_date, customer_id)
        inner join intermediate.int_customer_snapshots as customers using (snapshot_date, customer_id)
        left join lifetime_value.ltv_customer_snapshots as ltv using (snapshot_date, customer_id)
        where snapshot_date = ?
        order by customer_id
        """,
        [day],
    ).fetchnumpy()
    values = np.column_stack([np.asarray(found[f"number_{name}"], dtype=float) for name in NUMBERS])
    values = np.sign(values) * np.log1p(np.abs(values))
    values = (values - values.mean(axis=0)) / np.where(values.std(axis=0) > 0, values.std(axis=0), 1)
    return Customers(
        spend=np.asarray(found["spend"], dtype=float),
        macro_segment=np.asarray(found["macro_segment"], dtype=str),
        micro_segment=np.asarray(found["micro_segment_id"], dtype=str),
        rfm_group=np.asarray(found["rfm"], dtype=str),
        attributes={name: np.unique(np.asarray(found[name], dtype=str), return_inverse=True) for name in attributes},
        numbers=values,
    )


def auto_groups(customers: Customers, train: np.ndarray, minimum: int) -> Groups:
    """Segments by layers chosen on the training customers, drawn (by sizes alone) for all of them."""
    _, groups = np.unique(customers.macro_segment, return_inverse=True)
    # The share of training customers stands for all when a layer is judged.
    least = max(1, round(minimum * train.mean()))
    for macro_segment in np.unique(customers.macro_segment):
        inside = customers.macro_segment == macro_segment
        left = dict(customers.attributes)
        for _ in range(MOST_LAYERS):
            counts = {name: counts_of(groups, *found, customers.spend, inside & train) for name, found in left.items()}
            best = ranked(judge(name, counts[name], least, PENALTY) for name in left)[0]
            if best.score <= 0:
                break
            values, place = left.pop(best.attribute)
            for node in np.unique(groups[inside]):
                members = inside & (groups == node)
                sizes = np.bincount(place[members], minlength=len(values)).tolist()
                kept = kept_values(dict(zip(values.tolist(), sizes, strict=True)), minimum)
                if kept is not None:
                    is_kept = np.isin(values, list(kept))[place[members]]
                    groups[members] = groups.max() + 1 + np.where(is_kept, place[members], len(values))
    return groups


def counts_of(
    groups: Groups, values: np.ndarray, place: np.ndarray, spend: np.ndarray, chosen: np.ndarray
) -> dict[Node, dict[str, Sums]]:
    """Node -> value -> sums, over the chosen customers."""
    counts: dict[Node, dict[str, Sums]] = {}
    nodes, node = np.unique(groups[chosen], return_inverse=True)
    index = node * len(values) + place[chosen]
    customers = np.bincount(index)
    totals, squares = np.bincount(index, spend[chosen]), np.bincount(index, spend[chosen] ** 2)
    for key in np.flatnonzero(customers).tolist():
        sums = Sums(int(customers[key]), float(totals[key]), float(squares[key]))
        counts.setdefault(("", str(nodes[key // len(values)])), {})[str(values[key % len(values)])] = sums
    return counts


def group_means(groups: Groups, spend: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Each customer's prediction: the mean of the training customers of the group, of all where it has none."""
    _, index = np.unique(groups, return_inverse=True)
    count = np.bincount(index[train], minlength=index.max() + 1)
    total = np.bincount(index[train], spend[train], minlength=index.max() + 1)
    return np.where(count > 0, total / np.maximum(count, 1), spend[train].mean())[index]


def explained(predict: Callable[[np.ndarray], np.ndarray], spend: np.ndarray) -> float:
    """R squared over all folds of all repetitions; predict(train) gives everybody's prediction."""
    error = variation = 0.0
    for seed in SEEDS:
        fold = np.random.default_rng(seed).permutation(len(spend)) % FOLDS
        for number in range(FOLDS):
            train = fold != number
            error += float(((spend - predict(train))[~train] ** 2).sum())
            variation += float(((spend - spend[train].mean())[~train] ** 2).sum())
    return 1 - error / variation


def compare(customers: Customers, minimum: int) -> tuple[dict[str, float], dict[str, int]]:
    """R squared, and the number of groups, by method."""
    from sklearn.cluster import KMeans
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.tree import DecisionTreeRegressor

    everybody = np.ones(len(customers.spend), dtype=bool)
    auto = auto_groups(customers, everybody, minimum)
    count = len(np.unique(auto))
    coded = OneHotEncoder(sparse_output=False, min_frequency=minimum, handle_unknown="infrequent_if_exist")
    texts = np.column_stack([values[place] for values, place in customers.attributes.values()])
    features = np.column_stack([customers.numbers, coded.fit_transform(texts)])
    spend = customers.spend

    def by(groups: Groups) -> Callable[[np.ndarray], np.ndarray]:
        return lambda train: group_means(groups, spend, train)

    def by_auto(train: np.ndarray) -> np.ndarray:
        return group_means(auto_groups(customers, train, minimum), spend, train)

    def by_k_means(train: np.ndarray) -> np.ndarray:
        model = KMeans(count, n_init=5, random_state=0).fit(customers.numbers[train])
        return group_means(model.predict(customers.numbers), spend, train)

    def by_tree(train: np.ndarray) -> np.ndarray:
        model = DecisionTreeRegressor(max_leaf_nodes=count, min_samples_leaf=minimum, random_state=0)
        return model.fit(features[train], spend[train]).predict(features)

    def by_boosting(train: np.ndarray) -> np.ndarray:
        model = HistGradientBoostingRegressor(max_iter=60, learning_rate=0.08, max_leaf_nodes=8, random_state=0)
        return model.fit(features[train], spend[train]).predict(features)

    methods = {
        "macro-segments": (by(customers.macro_segment), len(np.unique(customers.macro_segment))),
        "RFM groups": (by(customers.rfm_group), len(np.unique(customers.rfm_group))),
        "active layers": (by(customers.micro_segment), len(np.unique(customers.micro_segment))),
        "auto": (by_auto, count),
        "k-means": (by_k_means, count),
        "regression tree": (by_tree, count),
        "gradient boosting": (by_boosting, 0),
    }
    return {name: explained(predict, spend) for name, (predict, _) in methods.items()}, {
        name: groups for name, (_, groups) in methods.items()
    }


def main(
    dataset: Annotated[list[str] | None, typer.Option(help="Data sets that have been refreshed.")] = None,
    month_ends: Annotated[int, typer.Option(help="So many of the latest month-ends.")] = 3,
) -> None:
    """Print the table and the ratios, data set by data set."""
    try:
        import sklearn
    except ImportError:
        print(
            "This comparison needs scikit-learn, of the dependency group dev: `make setup` installs it.",
            file=sys.stderr,
        )
        sys.exit(1)
    for name in dataset or ["complete_journey", "demo"]:
        settings = Settings.of(name)
        if not settings.warehouse.exists():
            print(f"{settings.warehouse} is not there: `make refresh DATASET={name}` makes it.", file=sys.stderr)
            sys.exit(1)
        with duckdb.connect(str(settings.warehouse), read_only=True) as db:
            days = choose_month_ends(
                db.execute(
                    "select snapshot_date, window_days, is_complete from micro_segments.micro_spend_windows"
                ).fetchall()
            )[-month_ends:]
            [(minimum,)] = db.execute(
                "select min_customers from seeds.micro_segment_layers where macro_segment = '*' and layer = 0"
            ).fetchall()
            attributes = candidate_attributes(db)
            results = [compare(read_customers(db, day, attributes), minimum) for day in days]
        print(f"\n{name}: R squared of log later spend, cross-validated (scikit-learn {sklearn.__version__})")
        print(f"  {'':<20}{'groups':>8}" + "".join(f"{day!s:>13}" for day in days) + f"{'mean':>9}")
        average = {}
        for method in results[0][0]:
            figures = [found[method] for found, _ in results]
            average[method] = mean(figures)
            groups = results[-1][1][method] or ""
            print(f"  {method:<20}{groups:>8}" + "".join(f"{one:>13.3f}" for one in figures) + f"{mean(figures):>9.3f}")
        for ours, theirs, measure, least in TARGETS:
            value = average[ours] / average[theirs] if measure == "ratio" else average[ours] - average[theirs]
            sign = "/" if measure == "ratio" else "-"
            print(
                f"  {ours} {sign} {theirs:<20}{value:>8.3f}   (aim: {least:.2f}{'' if value >= least else ', missed'})"
            )


if __name__ == "__main__":
    typer.run(main)
