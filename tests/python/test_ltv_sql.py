"""The scoring SQL, run by dbt: against published figures, SciPy, 40-digit arithmetic, and on data without a model."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from itertools import product
from pathlib import Path

import mpmath
import numpy as np
import pyarrow as pa
import pytest
from scipy.special import hyp2f1

from benchmarks.ltv_project import INPUT, SCORING
from ltv_project import LtvProject, cdnow_purchase_days, customer_snapshots
from orchestration.fit import ORDER_PARAMETERS, SPEND_PARAMETERS

HORIZONS = (90, 180, 365, 1095)
# The published figures are at 13, 39, 52, 104 and 156 weeks; the interval needs 365 days
WEEKS_OF_THE_PAPER = {"[90, 180, 365, 1095]": "[91, 273, 364, 365, 728, 1092]"}
EVERYTHING = "int_customer_snapshots macro_customer_snapshots lifetime_value ltv_fits"
GIVEN_FITS = f"{INPUT} {SCORING}"
CDNOW_SPEND = {"p": 6.24957, "q": 3.74422, "gamma": 15.44352}

#: Expected orders are given to six decimals.
ORDERS_ROUNDING = 5e-7


def buyer(snapshot_date: str, customer_id: str, x: int | None, recency: int | None, age: int | None, spend: float = 0):
    """One buyer of one snapshot."""
    return {
        "snapshot_date": dt.date.fromisoformat(snapshot_date),
        "customer_id": customer_id,
        "is_buyer": True,
        "orders": 1 if x is None else x + 1,
        "net_revenue": Decimal(0) if x is None else Decimal(str(round(spend + 20, 2))),
        "frequency": x,
        "recency_days": recency,
        "age_days": age,
        "repeat_spend": None if x is None else Decimal(str(round(spend, 2))),
    }


def month_ends(count: int) -> list[str]:
    """That many month-ends from January 2001 on."""
    firsts = [dt.date(2001 + (i + 1) // 12, (i + 1) % 12 + 1, 1) for i in range(count)]
    return [str(first - dt.timedelta(days=1)) for first in firsts]


def give_fits(project: LtvProject, fits: dict[str, dict[str, float | str]]) -> None:
    """Put these fits, by cut-off, where the fitted ones would be. Steps that are not given are 0."""
    names = [*ORDER_PARAMETERS, *SPEND_PARAMETERS]
    for group in (ORDER_PARAMETERS, SPEND_PARAMETERS):
        names += [f"step_{row}_{column}" for i, row in enumerate(group) for column in group[: i + 1]]
    rows = [
        {"scope": "pooled", "cutoff_date": dt.date.fromisoformat(day), "fit_status": "ok", "spend_fit_status": "ok"}
        | {"family": "bg", "split_gain": None}
        | dict.fromkeys(names, 0.0)
        | CDNOW_SPEND
        | fit
        for day, fit in fits.items()
    ]
    project.dbt("run", "int_customer_snapshots", [])
    project.register("lifetime_value", "ltv_parameter_fits", pa.Table.from_pylist(rows))


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as context:
        yield context


@pytest.fixture(scope="module")
def cdnow(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> LtvProject:
    """CDNOW at two month-ends and a week later, fitted and scored by BG/NBD."""
    project = LtvProject(tmp_path_factory.mktemp("cdnow"), patch, WEEKS_OF_THE_PAPER)
    snapshots = ["1997-08-31", "1997-09-30", "1997-10-05"]
    project.write(customer_snapshots(cdnow_purchase_days(), snapshots))
    project.dbt("run", EVERYTHING, snapshots, ltv_family="bg")
    return project


def test_cdnow_fits_are_the_published_ones(cdnow: LtvProject) -> None:
    rows = cdnow.query(
        """
        select family, r, alpha, a, b, p, q, gamma, log_likelihood, is_used
        from quality.ltv_fits where cutoff_date = '1997-09-30' order by family
        """
    )
    spend = (6.24957, 3.74422, 15.44352)
    assert rows[0][:1] + rows[0][-1:] == ("bg", True)
    assert rows[1][:1] + rows[1][-1:] == ("mbg", False)
    assert rows[0][1:5] == pytest.approx((0.242595, 4.413602, 0.792922, 2.425906), rel=1e-4)
    assert rows[1][1:5] == pytest.approx((0.52483, 6.18299, 0.89136, 1.61400), rel=1e-3)
    assert [row[8] for row in rows] == pytest.approx([-9582.4292, -9582.136], abs=1e-3)
    assert rows[0][5:8] == pytest.approx(spend, rel=1e-3)


def test_cdnow_totals_are_the_published_ones(cdnow: LtvProject) -> None:
    [row] = cdnow.query(
        """
        select
            count(*),
            sum(probability_alive),
            sum(expected_orders_91d),
            sum(expected_orders_273d),
            sum(expected_orders_364d),
            sum(expected_orders_728d),
            sum(expected_orders_1092d),
            sum(expected_orders_273d::double * expected_spend::double),
            sum(predicted_ltv_1092d),
            count(*) filter (ltv_status = 'modelled')
        from lifetime_value.ltv_customer_snapshots
        where snapshot_date = '1997-09-30'
        """
    )
    published = (1917.278, 628.0224, 1653.41, 2089.3988, 3525.9397, 4657.1371)
    assert row[0] == row[-1] == 2_357
    assert [float(value) for value in row[1:7]] == pytest.approx(published, rel=2e-6)
    assert float(row[7]) == pytest.approx(59_931.63, abs=0.02)
    assert float(row[8]) == pytest.approx(149_913.24, rel=5e-6)  # cents are rounded per customer
    [discounted] = cdnow.query(
        """
        select
            sum(snapshots.probability_alive * factors.discounted_orders_364d),
            sum(snapshots.probability_alive * factors.discounted_orders_1092d)
        from lifetime_value.ltv_customer_snapshots as snapshots
        inner join intermediate.int_customer_snapshots as customers using (snapshot_date, customer_id)
        inner join lifetime_value.ltv_factors as factors using (scope, cutoff_date, frequency, age_days)
        where snapshots.snapshot_date = '1997-09-30'
        """
    )
    assert discounted == pytest.approx((2000.9671, 4143.8521), rel=2e-6)


@pytest.mark.parametrize(
    ("customer_id", "expected"),
    [
        ("0001", (1.22599449, 0.72662032, 24.653919)),
        ("0002", (0.20341884, 0.21239104, 18.910018)),
        ("0004", (0.19479363, 1, 35.170371)),
    ],
)
def test_cdnow_customers_are_the_published_ones(cdnow: LtvProject, customer_id: str, expected: tuple) -> None:
    [row] = cdnow.query(
        f"""
        select expected_orders_273d, probability_alive, expected_spend, churn_risk
        from lifetime_value.ltv_customer_snapshots
        where snapshot_date = '1997-09-30' and customer_id = '{customer_id}'
        """
    )
    assert [float(value) for value in row[:3]] == pytest.approx(expected, rel=1e-6, abs=ORDERS_ROUNDING)
    assert row[1] + row[3] == 1


def test_a_snapshot_is_scored_by_the_last_fit_before_it(cdnow: LtvProject) -> None:
    rows = cdnow.query(
        "select distinct snapshot_date, cutoff_date from lifetime_value.ltv_customer_snapshots order by snapshot_date"
    )
    assert [tuple(map(str, row)) for row in rows] == [
        ("1997-08-31", "1997-08-31"),
        ("1997-09-30", "1997-09-30"),
        ("1997-10-05", "1997-09-30"),
    ]


def test_sql_agrees_with_scipy(cdnow: LtvProject) -> None:
    """Every factor of CDNOW against the closed form with SciPy's 2F1, which is good where a is not near 1."""
    rows = np.array(
        cdnow.query(
            """
            select fits.r, fits.alpha, fits.a, fits.b, frequency, age_days, orders_91d, orders_273d, orders_1092d
            from lifetime_value.ltv_factors as factors
            inner join lifetime_value.ltv_scoring_fits as fits on fits.snapshot_date = factors.cutoff_date
            """
        )
    ).T
    r, alpha, a, b, x, age_days, *orders = rows
    n, b_alive, age = r + x, b + x, alpha + age_days / 7
    for days, found in zip((91, 273, 1092), orders, strict=True):
        t = days / 7
        left = (age / (age + t)) ** n * hyp2f1(n, b_alive, a + b_alive - 1, t / (age + t))
        assert found == pytest.approx((a + b_alive - 1) / (a - 1) * (1 - left), rel=1e-9)


def test_a_group_s_interval_is_a_plain_aggregate(cdnow: LtvProject) -> None:
    """Parameter error does not average out over customers, process error does."""
    parameter, process, total = cdnow.query(
        f"""
        select
            sqrt({" + ".join(f"pow(sum(predicted_ltv_365d_shift_{i}), 2)" for i in range(1, 8))}),
            sqrt(sum(predicted_ltv_365d_variance)),
            sum(predicted_ltv_365d)
        from lifetime_value.ltv_value_estimates
        where snapshot_date = '1997-09-30'
        """
    )[0]
    half_width = 1.96 * np.hypot(float(parameter), float(process))
    assert 0.02 < half_width / float(total) < 0.3
    assert float(parameter) > 0.3 * float(process)


GRID = [
    {"family": family, "r": r, "alpha": alpha, "a": a, "b": b}
    for family, (r, alpha, a, b) in product(
        ("bg", "mbg"),
        [
            (0.242595, 4.413602, 0.792922, 2.425906),
            (1.4066, 1.3484, 0.0126, 7.6887),
            (0.5, 5.0, 1.0, 2.0),
            (0.05, 20.0, 16.0, 0.1),
            (3.0, 4.4, 0.3, 0.3),
        ],
    )
]
# x, t_x in days, T in days: T near 0, t_x = T, an x that no person reaches
HISTORIES = [(0, 0, 0), (0, 0, 1), (0, 0, 400), (1, 1, 1), (1, 3, 700), (12, 300, 300), (12, 50, 300), (80, 90, 400)]
HISTORIES += [(10_000, 9_999, 10_000), (10_000, 20_000, 20_000), (10_000, 10_001, 12_000), (10_000, 0, 0)]


class Exact:
    """One customer in 40-digit arithmetic. a = 1 is met as a limit."""

    def __init__(self, fit: dict, x: int, recency_days: int, age_days: int) -> None:
        with mpmath.workdps(40):
            self.a = mpmath.mpf(fit["a"]) + mpmath.mpf(10) ** -20
            late = 1 if fit["family"] == "mbg" else 0
            self.n, self.b = mpmath.mpf(fit["r"]) + x, mpmath.mpf(fit["b"]) + x + late
            self.age = mpmath.mpf(fit["alpha"]) + mpmath.mpf(age_days) / 7
            since = self.age / (mpmath.mpf(fit["alpha"]) + mpmath.mpf(recency_days) / 7)
            self.probability_alive = float(1 / (1 + self.a / (self.b - 1) * since**self.n)) if x or late else 1.0

    def orders(self, weeks: float) -> float:
        """The papers' formula, after Pfaff's transformation of its 2F1."""
        with mpmath.workdps(40):
            left = mpmath.hyp2f1(self.n, self.a - 1, self.a + self.b - 1, -mpmath.mpf(weeks) / self.age)
            return float((self.a + self.b - 1) / (self.a - 1) * (1 - left))

    def discounted(self, weeks: float, delta: float) -> float:
        """By parts: e^(-delta t) E(t) + delta * integral of e^(-delta s) E(s), with 24 points in ln(1 + s / age)."""
        length, age = np.log1p(weeks / float(self.age)), float(self.age)
        nodes, weights = np.polynomial.legendre.leggauss(24)
        y = length * (1 + nodes) / 2
        s = age * np.expm1(y)
        orders = np.array([self.orders(moment) for moment in s])
        waited = (weights / 2 * length * age * np.exp(y) * np.exp(-delta * s) * orders).sum()
        return np.exp(-delta * weeks) * self.orders(weeks) + delta * waited


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> dict[str, list[tuple]]:
    """All of HISTORIES scored by all of GRID: by family, rows of (fit, history, P(alive), orders, discounted)."""
    found = {}
    for family in ("bg", "mbg"):
        fits = [fit for fit in GRID if fit["family"] == family]
        days = month_ends(len(fits))
        project = LtvProject(tmp_path_factory.mktemp(family), patch)
        project.write(
            [buyer(day, str(i), *history, 9.0 * history[0]) for day in days for i, history in enumerate(HISTORIES)]
        )
        give_fits(project, dict(zip(days, fits, strict=True)))
        project.dbt("run", GIVEN_FITS, days, ltv_family=family)
        found[family] = project.query(
            f"""
            select
                estimates.snapshot_date,
                customer_id::int,
                probability_alive,
                {", ".join(f"factors.orders_{days}d, factors.discounted_orders_{days}d" for days in HORIZONS)}
            from lifetime_value.ltv_order_estimates as estimates
            inner join intermediate.int_customer_snapshots as customers using (snapshot_date, customer_id)
            inner join lifetime_value.ltv_factors as factors
                on
                    factors.scope = estimates.scope
                    and factors.cutoff_date = estimates.cutoff_date
                    and factors.frequency = customers.frequency
                    and factors.age_days = customers.age_days
            order by estimates.snapshot_date, customer_id::int
            """
        )
        assert project.query("select count(*) from lifetime_value.ltv_customer_snapshots") == [
            (len(days) * len(HISTORIES),)
        ]
    return found


@pytest.mark.parametrize("family", ["bg", "mbg"])
def test_sql_agrees_with_exact_arithmetic(grid: dict[str, list[tuple]], family: str) -> None:
    fits = [fit for fit in GRID if fit["family"] == family]
    dates = sorted({row[0] for row in grid[family]})
    delta = np.log(1.1) / (365.25 / 7)
    for row in grid[family]:
        fit, history = fits[dates.index(row[0])], HISTORIES[row[1]]
        exact = Exact(fit, *history)
        assert row[2] == pytest.approx(exact.probability_alive, rel=1e-8, abs=1e-300), (fit, history)
        for i, days in enumerate(HORIZONS):
            assert row[3 + 2 * i] == pytest.approx(exact.orders(days / 7), rel=1e-8), (fit, history, days)
        if history[0] < 10_000:  # above, 40 digits take minutes
            assert row[-1] == pytest.approx(exact.discounted(HORIZONS[-1] / 7, delta), rel=1e-8), (fit, history)


@pytest.mark.parametrize("family", ["bg", "mbg"])
def test_expectations_are_finite_and_grow_with_the_horizon(grid: dict[str, list[tuple]], family: str) -> None:
    for row in grid[family]:
        orders, discounted = np.array(row[3::2]), np.array(row[4::2])
        assert np.all(np.isfinite(orders)) and np.all(np.diff(orders) >= 0) and orders[0] > 0
        assert np.all(np.isfinite(discounted)) and np.all(np.diff(discounted) >= 0)
        assert np.all(discounted < orders * (1 + 1e-12))
        assert 0 <= row[2] <= 1


def test_shifts_variance_and_discount(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    """Shifts against really moved parameters, variance against simulated customers, no discount against none."""
    base = {"r": 0.6, "alpha": 6.0, "a": 0.9, "b": 2.0, "p": 6.0, "q": 4.0, "gamma": 1.5e6}
    base |= {"family": "mbg"}
    step = 1e-4
    directions = [*ORDER_PARAMETERS, *SPEND_PARAMETERS]
    days = month_ends(1 + len(directions))
    fits = {days[0]: base | {f"step_{name}_{name}": 1.0 for name in directions}}
    fits |= {day: base | {name: base[name] * np.exp(step)} for day, name in zip(days[1:], directions, strict=True)}
    histories = [(0, 0, 200), (4, 150, 200), (4, 60, 200)]
    project = LtvProject(tmp_path, patch)
    project.write([buyer(day, str(i), *h, 30e5 * h[0]) for day in days for i, h in enumerate(histories)])
    give_fits(project, fits)
    project.dbt("run", GIVEN_FITS, days, ltv_annual_discount_rate=0.0)
    shifts = ", ".join(f"predicted_ltv_365d_shift_{i}::double" for i in range(1, 8))
    rows = project.query(
        f"""
        select
            predicted_ltv_365d::double, predicted_ltv_365d_variance::double, expected_orders_365d::double,
            expected_spend::double, predicted_ltv_365d_standard_error::double, {shifts}
        from lifetime_value.ltv_value_estimates order by snapshot_date, customer_id
        """
    )
    by_date = [rows[i * len(histories) : (i + 1) * len(histories)] for i in range(len(days))]
    random = np.random.default_rng(7)
    for customer, (x, recency, age) in enumerate(histories):
        ltv, variance, orders, spend, standard_error, *predicted = by_date[0][customer]
        assert ltv == pytest.approx(orders * spend, abs=0.00501 + ORDERS_ROUNDING * spend)  # margin 1, no discount
        assert standard_error == pytest.approx(np.sqrt(variance + sum(shift**2 for shift in predicted)), abs=1e-3)
        for direction, shift in enumerate(predicted):
            moved = by_date[1 + direction][customer][0]
            assert (moved - ltv) / step == pytest.approx(shift, rel=2e-3, abs=1e-4 * ltv)

        size = 400_000
        alive = random.random(size) < 1 / (
            1 + base["a"] / (base["b"] + x) * ((6 + age / 7) / (6 + recency / 7)) ** (base["r"] + x)
        )
        rate = random.gamma(base["r"] + x, 1 / (6 + age / 7), size)
        leave = random.beta(base["a"], base["b"] + x + 1, size)
        count = np.where(alive, np.minimum(random.poisson(rate * 365 / 7), random.geometric(leave)), 0)
        mean = base["p"] / random.gamma(base["p"] * x + base["q"], 1 / (base["gamma"] + 30e5 * x), size)
        total = random.gamma(np.maximum(base["p"] * count, 1e-300), mean / base["p"]) * (count > 0)
        assert total.mean() == pytest.approx(ltv, rel=0.02)
        assert total.std() == pytest.approx(variance**0.5, rel=0.03)


def test_more_recent_and_more_frequent_is_never_worth_less(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    [day] = month_ends(1)
    recencies = [(3, recency, 300) for recency in range(20, 301, 20)]
    frequencies = [(x, 300, 300) for x in range(1, 40)]
    project = LtvProject(tmp_path, patch)
    rows = [buyer(day, f"r{i:02}", *h, 60.0) for i, h in enumerate(recencies)]
    rows += [buyer(day, f"x{i:02}", *h, 20.0 * h[0]) for i, h in enumerate(frequencies)]
    project.write(rows)
    give_fits(project, {day: {"family": "mbg", "r": 0.5, "alpha": 6.0, "a": 0.9, "b": 1.6}})
    project.dbt("run", GIVEN_FITS, [day])
    for kind in ("r", "x"):
        found = project.query(
            f"""
            select expected_orders_365d from lifetime_value.ltv_customer_snapshots
            where customer_id like '{kind}%' order by customer_id
            """
        )
        assert len(found) > 10
        assert found == sorted(found)


def degenerate(day: str) -> dict[str, list[dict]]:
    """Snapshots whose data support no model."""
    return {
        "no repeat buyers": [buyer(day, str(i), 0, 0, i % 200) for i in range(500)],
        "one customer": [buyer(day, "only", 2, 30, 40, 50.0)],
        "first day": [buyer(day, str(i), 0, 0, 0) for i in range(50)],
        "all refunded": [buyer(day, str(i), None, None, None) for i in range(50)],
        "one bot": [buyer(day, "bot", 10_000, 300, 300, 1e6)] + [buyer(day, str(i), 0, 0, i) for i in range(99)],
        "all alike": [buyer(day, str(i), 4, 200, 210, 80.0) for i in range(500)],
    }


def test_what_no_model_supports_gets_a_stated_plain_estimate(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    project = LtvProject(tmp_path, patch)
    days = month_ends(6)
    kinds = list(degenerate(days[0]))
    rows = [row for day, kind in zip(days, kinds, strict=True) for row in degenerate(day)[kind]]
    project.write(rows)
    project.dbt("build", EVERYTHING, [*days, "2003-01-31"])  # with the models' own tests; the last one is empty
    values = [f"expected_orders_{horizon}d" for horizon in HORIZONS]
    values += [f"predicted_ltv_{horizon}d" for horizon in HORIZONS]
    values += [f"predicted_ltv_{horizon}d_standard_error" for horizon in HORIZONS] + ["expected_spend"]
    found = project.query(
        f"""
        select snapshot_date, ltv_status, count(*), {", ".join(f"min({v}), max({v})" for v in values)}
        from lifetime_value.ltv_customer_snapshots group by all order by snapshot_date
        """
    )
    assert [str(row[0]) for row in found] == days
    statuses = dict(zip(kinds, [row[1] for row in found], strict=True))
    assert statuses == dict.fromkeys(kinds, "heuristic") | {"all refunded": "none"}
    for kind, row in zip(kinds, found, strict=True):
        assert row[2] == len(degenerate(days[0])[kind])
        if kind == "all refunded":
            assert set(row[3:]) == {None}
        else:
            assert all(value is not None and np.isfinite(float(value)) and value >= 0 for value in row[3:])
    [only] = project.query(
        f"""
        select expected_orders_365d, expected_spend, predicted_ltv_1095d, probability_alive
        from lifetime_value.ltv_customer_snapshots where snapshot_date = '{days[1]}'
        """
    )
    assert [float(value) for value in only[:2]] == pytest.approx(((2 + 2) / (40 + 90) * 365, 25), abs=ORDERS_ROUNDING)
    assert 0 < only[2] < 3 * 365 * 25
    assert only[3] is None  # nobody can tell without a model
    flags = project.query("select cutoff_date, fit_status, is_used, r from quality.ltv_fits")
    assert len(flags) == 2 * (len(days) - 1)  # of those whose every purchase was refunded, nothing can be counted
    assert not any(row[2] or row[1] == "ok" for row in flags)


def test_constant_spend_falls_back_for_spend_alone(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    project = LtvProject(tmp_path, patch)
    table = customer_snapshots(cdnow_purchase_days(), ["1997-09-30"])
    constant = [
        row | {"repeat_spend": Decimal("19.99") * row["frequency"], "net_revenue": Decimal("19.99") * row["orders"]}
        for row in table.to_pylist()
    ]
    project.write(constant)
    project.dbt("run", EVERYTHING, ["1997-09-30"])
    assert project.query(
        """
        select ltv_status, min(expected_spend), max(expected_spend), count(*), count(probability_alive)
        from lifetime_value.ltv_customer_snapshots group by all
        """
    ) == [("heuristic", Decimal("19.990000"), Decimal("19.990000"), 2_357, 2_357)]


def test_runs_one_after_the_other_equal_one_run(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    snapshots = ["1997-06-30", "1997-08-31", "1997-09-14", "1997-09-30"]
    table = customer_snapshots(cdnow_purchase_days(), snapshots)
    tables = ("lifetime_value.ltv_customer_snapshots", "lifetime_value.ltv_parameter_fits", "quality.ltv_fits")
    found = []
    for runs in (
        [(snapshots, snapshots)],
        [(snapshots[:3], snapshots[:3]), (snapshots, snapshots[2:]), (snapshots, [])],
    ):
        (tmp_path / str(len(runs))).mkdir()
        project = LtvProject(tmp_path / str(len(runs)), patch)
        project.write(table)
        for kept, built in runs:
            project.dbt("run", EVERYTHING, kept, built)
        found.append([sorted(project.query(f"select columns(*)::varchar from {name}")) for name in tables])
    assert found[0] == found[1]
    assert [len(rows) for rows in found[0]] == [table.num_rows, 6, 6]
    project.dbt("run", EVERYTHING, snapshots[1:], [])  # a snapshot that is no longer kept goes
    assert project.query("select min(snapshot_date)::varchar from lifetime_value.ltv_customer_snapshots") == [
        (snapshots[1],)
    ]


def test_an_unknown_family_is_refused_by_name(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    project = LtvProject(tmp_path, patch)
    with pytest.raises(RuntimeError, match="set it to mbg or bg"):
        project.dbt("compile", EVERYTHING, [], ltv_family="pareto")
