"""`make bench-ltv`: fits and scores simulated customers, side by side with the usual ways to do it.

Strata's own models, run by dbt as in a refresh, against

- the fit of the `lifetimes` package, MBG/NBD and Gamma-Gamma: one row per customer, as its users call it, and one row
  per distinct history, grouped beforehand. Strata's models fit BG/NBD besides. Both have to find fits equally likely.
- scoring by a Python function that DuckDB calls with Arrow batches: per customer the closed form with SciPy's 2F1, and
  for what is discounted the same Gauss-Legendre points as in the models. It gives values alone; the models also give
  what intervals are made of, which is most of their columns. The values have to agree before anything is timed.

Everything runs in processes of its own. "Work" leaves out what a process needs to start (imports, dbt's parsing).
"""

from __future__ import annotations

import json
import math
import operator
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer
import yaml

from benchmarks.ltv_project import CUSTOMER_SNAPSHOTS, FIT, INPUT, SCORING, LtvProject
from benchmarks.measure import Run, median, run
from orchestration.fit import ORDER_PARAMETERS, SPEND_PARAMETERS, order_log_likelihood, spend_log_likelihood
from orchestration.month_end_fits import ORDER_COLUMNS, SPEND_COLUMNS

SNAPSHOT = date(2026, 2, 28)
SIZES = [100_000, 1_000_000, 10_000_000]
#: Larger ones are fitted without `lifetimes`.
LARGEST_FOR_LIFETIMES = 1_000_000
#: Customers that are held in memory at once while they are simulated.
CHUNK = 1_000_000
LONGEST_AGE_DAYS = 730
#: The demo's: purchases MBG/NBD in weeks, amounts Gamma-Gamma.
TRUTH = {"r": 1.5, "alpha": 8.0, "a": 1.0, "b": 3.0, "p": 4.0, "q": 4.0, "gamma": 45.0}
HORIZONS = (90, 180, 365, 1095)
#: Gauss-Legendre points between two horizons, as in macros/ltv_quadrature.sql.
POINTS = 8
#: The first 10,000 customers' values are compared before anything is timed; by how much they may differ.
LAST_COMPARED, TOLERANCE = "c00010000", 1e-6

Batch = Callable[[pa.Array, pa.Array, pa.Array], pa.Array]


# ---- what the processes do ----------------------------------------------------------------------------------------


def simulate(home: Path, customers: int) -> None:
    """Write int_customer_snapshots of that many buyers at one month-end, always the same ones, chunk by chunk."""
    with pq.ParquetWriter(LtvProject(home).input, CUSTOMER_SNAPSHOTS) as writer:
        for first in range(0, customers, CHUNK):
            writer.write_table(simulated_buyers(first, min(CHUNK, customers - first)))


def simulated_buyers(first: int, count: int) -> pa.Table:
    """Buyers number `first` and after, `count` of them: ages of a day to two years, purchases and amounts by TRUTH."""
    random = np.random.default_rng([2005, first])
    age = random.integers(1, LONGEST_AGE_DAYS + 1, count)
    daily_rate = random.gamma(TRUTH["r"], 1.0 / (7.0 * TRUTH["alpha"]), count)
    leave = random.beta(TRUTH["a"], TRUTH["b"], count)
    frequency, recency = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    active = np.arange(count)
    while active.size:
        active = active[random.random(active.size) >= leave[active]]
        gap = random.exponential(1.0 / daily_rate[active]).clip(max=LONGEST_AGE_DAYS + 1)
        day = recency[active] + np.maximum(np.rint(gap).astype(np.int64), 1)
        is_seen = day <= age[active]
        active = active[is_seen]
        recency[active] = day[is_seen]
        frequency[active] += 1

    scale = 1.0 / random.gamma(TRUTH["q"], 1.0 / TRUTH["gamma"], count)
    first_spend = np.round(random.gamma(TRUTH["p"], scale), 2)
    repeat_spend = np.round(random.gamma(TRUTH["p"] * np.maximum(frequency, 1), scale), 2) * (frequency > 0)
    number = pc.utf8_lpad(pc.cast(pa.array(np.arange(first, first + count)), pa.string()), 8, "0")
    columns = {
        "snapshot_date": pa.array(np.full(count, SNAPSHOT, dtype="datetime64[D]")),
        "customer_id": pc.binary_join_element_wise("c", number, ""),
        "is_buyer": np.ones(count, dtype=bool),
        "orders": frequency + 1,
        "net_revenue": first_spend + repeat_spend,
        "frequency": frequency,
        "recency_days": recency,
        "age_days": age,
        "repeat_spend": repeat_spend,
    }
    return pa.table({name: pa.array(column) for name, column in columns.items()}).cast(CUSTOMER_SNAPSHOTS)


def build(home: Path, models: str) -> dict[str, Any]:
    """Run some models by dbt: seconds from the first one's start to the last one's end, and of each as dbt reports."""
    marks: list[tuple[float, float]] = []

    def mark(event: Any) -> None:
        if event.info.name in ("NodeStart", "NodeFinished"):
            marks.append((time.monotonic(), time.process_time()))

    results = LtvProject(home).dbt("run", models, [str(SNAPSHOT)], callbacks=[mark])
    (wall, cpu), (last_wall, last_cpu) = marks[0], marks[-1]
    return {
        "wall": last_wall - wall,
        "cpu": last_cpu - cpu,
        "models": {result.node.name: result.execution_time for result in results},
    }


def fit_with_lifetimes(home: Path, is_grouped: bool) -> dict[str, Any]:
    """Fit MBG/NBD (in weeks) and Gamma-Gamma with the package: seconds from reading the file on, and the parameters."""
    from lifetimes import GammaGammaFitter, ModifiedBetaGeoFitter

    wall, cpu = time.monotonic(), time.process_time()
    names = ["frequency", "recency_days", "age_days", "repeat_spend"]
    table = pq.read_table(LtvProject(home).input, columns=names)
    customers = table.set_column(3, "repeat_spend", table["repeat_spend"].cast(pa.float64())).to_pandas()
    histories, weights = customers, None
    if is_grouped:
        histories = customers.groupby(names[:3], as_index=False).size()
        weights = histories["size"]
    weeks = histories[["recency_days", "age_days"]] / 7.0
    orders = ModifiedBetaGeoFitter()
    orders.fit(histories["frequency"], weeks["recency_days"], weeks["age_days"], weights=weights)
    repeat = customers[customers["frequency"] > 0]
    spend = GammaGammaFitter()
    spend.fit(repeat["frequency"], repeat["repeat_spend"] / repeat["frequency"])
    return {
        "wall": time.monotonic() - wall,
        "cpu": time.process_time() - cpu,
        "orders": [orders.params_[name] for name in ORDER_PARAMETERS],
        "spend": [spend.params_[name] for name in ("p", "q", "v")],
    }


def batch_scores(fit: dict[str, float], weekly_discount: float) -> Batch:
    """The function that DuckDB calls: x, t_x and T in days of some customers to P(alive), orders and discounted orders.

    MBG/NBD, Wagner and Hoppe 2008. The closed form has no value where a is 1.
    """
    from scipy.special import expit, hyp2f1

    r, alpha, a, b = (fit[name] for name in ORDER_PARAMETERS)
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    points = list(zip((1.0 + nodes) / 2.0, weights / 2.0, strict=True))

    def scores(frequency: pa.Array, recency_days: pa.Array, age_days: pa.Array) -> pa.Array:
        x, recency, age = (np.asarray(column, dtype=float) for column in (frequency, recency_days, age_days))
        n, b_alive, waited = r + x, b + x + 1.0, alpha + age / 7.0
        alive = expit(np.log((b + x) / a) - n * np.log(waited / (alpha + recency / 7.0)))
        orders, discounted = [], []
        y, so_far = 0.0, 0.0
        for days in HORIZONS:
            z = days / (7.0 * waited + days)
            left = hyp2f1(n, b_alive, a + b_alive - 1.0, z) * (1.0 - z) ** n
            orders.append(alive * (a + b_alive - 1.0) / (a - 1.0) * (1.0 - left))
            # purchases happen at rate n / waited * E[(1 + p s / waited)^-(n + 1)]; s = waited (e^y - 1)
            y_before, y = y, -np.log1p(-z)
            for node, weight in points:
                s = waited * np.expm1(y_before + (y - y_before) * node)
                z = s / (waited + s)
                rate = n * hyp2f1(n + 1.0, b_alive, a + b_alive, z) * (1.0 - z) ** n
                so_far = so_far + weight * (y - y_before) * rate * np.exp(-weekly_discount * s)
            discounted.append(alive * so_far)
        return pa.StructArray.from_arrays([pa.array(column) for column in (alive, *orders, *discounted)], score_names())

    return scores


def score_names() -> list[str]:
    """The fields of what batch_scores returns: names of ltv_order_estimates."""
    return [
        "probability_alive",
        *(f"{kind}_orders_{days}d" for kind in ("expected", "discounted") for days in HORIZONS),
    ]


@contextmanager
def per_row_view(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, opened as dbt opens it, with the view `per_row`: every buyer's values by the Python function."""
    settings = yaml.safe_load((home / "dbt_project.yml").read_text())["vars"]
    config = {"threads": 2, "memory_limit": os.environ.get("STRATA_MEMORY_LIMIT", "8GB")}
    names = [*ORDER_PARAMETERS, *SPEND_PARAMETERS]
    fields = ", ".join(f"{name} double" for name in score_names())
    with duckdb.connect(str(LtvProject(home).warehouse), config=config) as db:
        db.execute("set preserve_insertion_order = false")
        [row] = db.execute(f"select {', '.join(names)} from lifetime_value.ltv_scoring_fits").fetchall()
        fit = dict(zip(names, row, strict=True))
        weekly_discount = math.log1p(settings["ltv_annual_discount_rate"]) / (365.25 / 7.0)
        function = batch_scores(fit, weekly_discount)
        db.create_function("scores", function, ["bigint"] * 3, f"struct({fields})", type="arrow")
        db.execute(
            f"""
            create temp view per_row as
            select
                snapshot_date,
                customer_id,
                {fit["p"]} * ({fit["gamma"]} + cast(repeat_spend as double))
                / ({fit["p"]} * frequency + {fit["q"]} - 1.0) as expected_spend,
                {", ".join(f"scores.{name}" for name in score_names())}
            from (
                select *, scores(frequency, recency_days, age_days) as scores
                from intermediate.int_customer_snapshots where is_buyer
            )
            """
        )
        yield db
        db.remove_function("scores")


def score_per_row(home: Path) -> dict[str, Any]:
    """Score every buyer by the Python function, into a table: seconds. Raises ValueError where the models disagree."""
    compared = [*score_names(), "expected_spend"]
    values = ["cast(probability_alive as decimal(18, 10)) as probability_alive"]
    values += ["cast(expected_spend as decimal(18, 6)) as expected_spend"]
    for days in HORIZONS:
        values += [f"cast(expected_orders_{days}d as decimal(18, 6)) as expected_orders_{days}d"]
        values += [f"cast(expected_spend * discounted_orders_{days}d as decimal(18, 2)) as predicted_ltv_{days}d"]
    with per_row_view(home) as db:
        [(difference,)] = db.execute(
            f"""
            select greatest({", ".join(f"max(abs(per_row.{name} / models.{name} - 1.0))" for name in compared)})
            from per_row inner join lifetime_value.ltv_spend_estimates as models using (customer_id)
            where per_row.customer_id < '{LAST_COMPARED}' and models.customer_id < '{LAST_COMPARED}'
            """
        ).fetchall()
        if not difference < TOLERANCE:
            raise ValueError(f"the Python function and the models differ by {difference:.1e}: not the same to compare")
        wall, cpu = time.monotonic(), time.process_time()
        db.execute(
            f"create table scored_per_row as select snapshot_date, customer_id, {', '.join(values)} from per_row"
        ).fetchall()
        return {"wall": time.monotonic() - wall, "cpu": time.process_time() - cpu}


# ---- what is measured, and how it is shown ------------------------------------------------------------------------

#: A process of its own: one of the functions above, by name.
CHILD = """
import json, sys
from pathlib import Path
from benchmarks import ltv
arguments = json.loads(sys.argv[2])
print(json.dumps(getattr(ltv, sys.argv[1])(Path(arguments[0]), *arguments[1:])))
"""
STRATA_FIT = "fit: Strata"
LIFETIMES = "fit: lifetimes"
LIFETIMES_GROUPED = "fit: lifetimes, grouped beforehand"
STRATA_SCORING = "score: Strata"
PER_ROW = "score: Python function per row"
#: Customers, whose seconds over whose, bound, what it is to be, in words.
TARGETS = (
    (1_000_000, LIFETIMES, STRATA_FIT, 4.0, operator.ge, "at least"),
    (10_000_000, STRATA_SCORING, PER_ROW, 0.5, operator.le, "at most"),
)


@dataclass(frozen=True)
class Measured:
    """Processes that did the same: median wall and CPU seconds, of the work and in all, peak MB, what the last said."""

    work: tuple[float, float]
    whole: tuple[float, float]
    peak: float
    said: dict[str, Any]

    @classmethod
    def of(cls, runs: list[Run]) -> Measured:
        """The figures of processes whose last line is what one of the functions above returned."""
        said = [json.loads(one.said) for one in runs]
        wall, cpu = (statistics.median(one[name] for one in said) for name in ("wall", "cpu"))
        return cls((wall, cpu), (median(runs, "wall"), median(runs, "cpu")), max(one.peak for one in runs), said[-1])

    def over(self, other: Measured) -> tuple[float, ...]:
        """How many times the other's seconds: work wall and CPU, whole wall and CPU."""
        mine, theirs = (*self.work, *self.whole), (*other.work, *other.whole)
        return tuple(one / another for one, another in zip(mine, theirs, strict=True))


def measure(customers: int, runs: int, home: Path) -> dict[str, Measured]:
    """Fit and score so many customers in all the ways, `runs` times in turns. Raises where results differ."""
    project = LtvProject(home)
    project.create()

    def child(function: str, *arguments: Any) -> Run:
        return run(CHILD, function, json.dumps([str(home), *arguments]), **project.environment)

    child("simulate", customers)
    child("build", INPUT)
    untouched = shutil.copy(project.warehouse, home / "untouched.duckdb")
    steps = {STRATA_FIT: ("build", FIT), STRATA_SCORING: ("build", SCORING), PER_ROW: ("score_per_row",)}
    if customers <= LARGEST_FOR_LIFETIMES:
        steps |= {LIFETIMES: ("fit_with_lifetimes", False), LIFETIMES_GROUPED: ("fit_with_lifetimes", True)}
    done: dict[str, list[Run]] = {name: [] for name in steps}
    for _ in range(runs):
        shutil.copy(untouched, project.warehouse)
        for name, step in steps.items():
            done[name].append(child(*step))
    found = {name: Measured.of(group) for name, group in done.items()}
    if LIFETIMES in found:
        require_same_fit(project, found[LIFETIMES].said)
    return found


def require_same_fit(project: LtvProject, theirs: dict[str, list[float]]) -> None:
    """Raise ValueError unless both fits are equally likely: log-likelihoods within TOLERANCE, as a share."""
    for kind, names, table, columns, likelihood in (
        ("orders", ORDER_PARAMETERS, "ltv_sufficient_statistics", ORDER_COLUMNS, mbg_log_likelihood),
        ("spend", SPEND_PARAMETERS, "ltv_spend_statistics", SPEND_COLUMNS, spend_log_likelihood),
    ):
        rows = np.array(project.query(f"select {', '.join(columns)} from lifetime_value.{table}")).T
        [ours] = project.query(f"select {', '.join(names)} from lifetime_value.ltv_parameter_fits where family = 'mbg'")
        ours, other = likelihood(*rows, ours), likelihood(*rows, theirs[kind])
        if not abs(other - ours) <= TOLERANCE * abs(ours):
            raise ValueError(
                f"lifetimes' fit of {kind} has log-likelihood {other:.2f}, Strata's {ours:.2f}: not the same"
            )


def mbg_log_likelihood(*arguments: Any) -> float:
    """order_log_likelihood of the family that lifetimes fits here."""
    *rows, parameters = arguments
    return order_log_likelihood(*rows, "mbg", parameters)


def show(customers: int, runs: int, found: dict[str, Measured]) -> None:
    """Print the table of one size, and its ratios."""
    print(f"\n{customers:,} simulated customers; medians of {runs} runs, each a process of its own")
    print(f"  {'':<48}{'work':>9}{'':9}{'whole process':>18}")
    print(f"  {'':<48}" + "".join(f"{name:>9}" for name in ("wall s", "CPU s", "wall s", "CPU s", "peak MB")))
    for name, figures in found.items():
        seconds = "".join(f"{second:>9.1f}" for second in (*figures.work, *figures.whole))
        print(f"  {name:<48}{seconds}{figures.peak:>9,.0f}")
        for model, wall in figures.said.get("models", {}).items():
            print(f"    {model:<46}{wall:>9.1f}")
    print("  Ratios")
    for above, below in ((LIFETIMES, STRATA_FIT), (LIFETIMES_GROUPED, STRATA_FIT), (STRATA_SCORING, PER_ROW)):
        if above in found:
            ratios = "".join(f"{ratio:>9.2f}" for ratio in found[above].over(found[below]))
            print(f"    {above.split(': ')[1] + ' / ' + below.split(': ')[1]:<46}{ratios}")


def verdicts(found: dict[int, dict[str, Measured]]) -> list[str]:
    """Whether each target is met, by the work's wall and CPU seconds both."""
    lines = []
    for size, above, below, bound, is_met, words in TARGETS:
        what = f"{above} over {below.split(': ')[1]}, {size:,} customers, {words} {bound}"
        if size not in found:
            lines.append(f"{what}: not measured")
            continue
        wall, cpu = found[size][above].over(found[size][below])[:2]
        met = "met" if is_met(wall, bound) and is_met(cpu, bound) else "NOT MET"
        lines.append(f"{what}: {wall:.2f} wall, {cpu:.2f} CPU: {met}")
    return lines


def main(
    sizes: Annotated[list[int], typer.Option("--size", min=1_000, help="Customers; may be repeated.")] = SIZES,
    runs: Annotated[int, typer.Option(min=1, help="How often each figure is measured; the median counts.")] = 3,
) -> None:
    """Print a table for each size, and whether the targets are met."""
    found = {}
    for customers in sizes:
        with tempfile.TemporaryDirectory(prefix="strata-bench-") as folder:
            found[customers] = measure(customers, runs, Path(folder))
        show(customers, runs, found[customers])
    print("\n  Targets")
    for line in verdicts(found):
        print(f"    {line}")


if __name__ == "__main__":
    typer.run(main)
