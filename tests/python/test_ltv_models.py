"""The comparison of purchase models: its likelihood, its predictions and its season, against other ways to them."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.special import logsumexp

from benchmarks.ltv_models import (
    BASELINE,
    NO_SEASON,
    SPLITS,
    Calendar,
    History,
    Model,
    Outcome,
    Purchases,
    at_least,
    days_since_1970,
    evaluate,
    fit,
    log_likelihood,
    log_terms,
    purchases_of,
    season,
    slopes,
)
from ltv_project import cdnow_purchase_days
from orchestration import fit as product
from orchestration.errors import StrataError

BG = Model("BG/NBD", leaves_at_first=False)
ERLANG = (BASELINE, Model("k = 2", k=2), Model("k = 3", k=3))
PLANTED = np.array([1.2, 4.0, 0.8, 2.4])


def simulated(k: int, age: np.ndarray, horizon: float, seed: int = 1) -> tuple[History, np.ndarray]:
    """Customers of MBG/CNBD-k with the planted parameters: what they did by their age, and how often they buy then."""
    random = np.random.default_rng(seed)
    r, alpha, a, b = PLANTED
    rate, leave = random.gamma(r, 1.0 / alpha, age.size), random.beta(a, b, age.size)
    x, later, t_x = np.zeros(age.size, dtype=np.int64), np.zeros(age.size, dtype=np.int64), np.zeros(age.size)
    log_gaps, now = np.zeros(age.size), np.zeros(age.size)
    is_here = random.random(age.size) >= leave
    while is_here.any():
        gap = random.gamma(k, 1.0 / rate)
        now += gap
        is_seen, is_later = is_here & (now <= age), is_here & (now > age) & (now <= age + horizon)
        x += is_seen
        later += is_later
        t_x[is_seen] = now[is_seen]
        log_gaps[is_seen] += np.log(gap[is_seen])
        is_here &= (now <= age + horizon) & (random.random(age.size) >= leave)
    return History(x, t_x, age, log_gaps, np.zeros(age.size)), later


def ages(size: int) -> np.ndarray:
    """Weeks from first purchase to cut-off."""
    return np.random.default_rng(2).uniform(5.0, 60.0, size)


@pytest.mark.parametrize("model", [BASELINE, BG], ids=["mbg", "bg"])
def test_without_regularity_it_is_the_likelihood_of_the_product(model: Model) -> None:
    history, _ = simulated(1, ages(500).round(), 1.0)
    days = np.round(history.t_x * 7).astype(int), np.round(history.T * 7).astype(int)
    history = replace(history, t_x=days[0] / 7, T=days[1] / 7)
    ones = np.ones_like(history.x)
    objective = product._order_objective(history.x, history.t_x, history.T, ones, is_mbg=model.leaves_at_first)
    assert log_likelihood(model, PLANTED, history).sum() == pytest.approx(objective(PLANTED, False)[0], rel=1e-12)
    ours = fit(model, history)
    theirs = product.fit_orders(history.x, *days, ones, "mbg" if model.leaves_at_first else "bg")
    assert ours["fit_status"] == theirs.fit_status == "ok"
    assert ours["log_likelihood"] == pytest.approx(theirs.log_likelihood, rel=1e-10)
    assert ours["parameters"] == pytest.approx(theirs.parameters, rel=1e-5)


@pytest.mark.parametrize("leaves_at_first", [True, False], ids=["mbg", "bg"])
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize(("gaps", "wait"), [([], 9.0), ([2.0], 3.5), ([1.0, 0.5, 4.0], 0.0), ([3.0] * 6, 20.0)])
def test_likelihood_is_the_integral_over_customers(
    gaps: list[float], wait: float, k: int, leaves_at_first: bool
) -> None:
    r, alpha, a, b = PLANTED

    def over_rates(still_waiting: bool) -> float:
        def density(rate: float) -> float:
            of_gaps = np.prod(stats.gamma.pdf(gaps, k, scale=1.0 / rate))
            quiet = stats.gamma.sf(wait, k, scale=1.0 / rate) if still_waiting else 1.0
            return stats.gamma.pdf(rate, r, scale=1.0 / alpha) * of_gaps * quiet

        return quad(density, 0.0, np.inf, epsabs=0.0, epsrel=1e-10)[0]

    def over_leaving(stays: int, leaves: int) -> float:
        return quad(lambda p: stats.beta.pdf(p, a, b) * (1 - p) ** stays * p**leaves, 0.0, 1.0, epsrel=1e-10)[0]

    occasions = len(gaps) + leaves_at_first
    expected = over_leaving(occasions, 0) * over_rates(True)
    if occasions:
        expected += over_leaving(occasions - 1, 1) * over_rates(False)
    history = History(
        *(np.array([value]) for value in (len(gaps), sum(gaps), sum(gaps) + wait, np.log(gaps).sum(), 0.0))
    )
    found = log_likelihood(Model("", k=k, leaves_at_first=leaves_at_first), PLANTED, history)
    assert found == pytest.approx(math.log(expected), rel=1e-7)


@pytest.mark.parametrize("model", [*ERLANG, BG], ids=["k1", "k2", "k3", "bg"])
def test_gradient_is_that_of_the_likelihood(model: Model) -> None:
    history, _ = simulated(2, ages(300), 1.0)
    columns = history.x, history.t_x, history.T
    value, gradient = slopes(model, PLANTED, *columns)
    assert value == pytest.approx(logsumexp(log_terms(model, PLANTED, *columns), axis=0).sum(), rel=1e-12)
    numeric = approx_fprime(PLANTED, lambda at: logsumexp(log_terms(model, at, *columns), axis=0).sum(), 1e-7)
    assert gradient == pytest.approx(numeric, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("k", [2, 3])
def test_simulated_parameters_and_regularity_are_recovered(k: int) -> None:
    history, _ = simulated(k, ages(6_000), 1.0)
    fits = [fit(model, history) for model in ERLANG]
    assert max(fits, key=lambda one: one["log_likelihood"]) is fits[k - 1]
    assert fits[k - 1]["fit_status"] == "ok"
    errors = np.array(fits[k - 1]["standard_errors"])
    assert np.all(np.abs(np.array(fits[k - 1]["parameters"]) - PLANTED) < 3.5 * errors)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_predictions_are_what_simulated_customers_do(k: int) -> None:
    history, later = simulated(k, ages(15_000), 30.0)
    chances = at_least(Model("", k=k), PLANTED, history, 30.0)
    assert np.all(np.diff(np.pad(chances, ((0, 0), (1, 1)), constant_values=((0, 0), (1, 0))), axis=1) <= 1e-12)
    for group in (history.x == 0, (history.x > 0) & (history.x <= 2), history.x > 2):
        actual, size = later[group], group.sum()
        assert chances[group].sum() == pytest.approx(actual.sum(), abs=4.0 * actual.std() * math.sqrt(size))
        for count in (1, 3):
            expected = chances[group, count - 1].sum()
            assert (actual >= count).sum() == pytest.approx(expected, abs=4.0 * math.sqrt(expected))


def test_regular_buyers_are_expected_by_the_stage_they_are_in() -> None:
    """Nobody leaves, everybody at a rate of 2 a week, gaps of two exponentials: renewal theory knows the answer."""
    sure = np.array([2e7, 1e7, 1e-7, 1e7])
    just_bought = History(*(np.array([value]) for value in (1, 5.0, 5.0, math.log(5.0), 0.0)))
    weeks, phases = 3.0, 2.0 * 3.0
    expected = phases / 2 - (1 - math.exp(-2 * phases)) / 4
    assert at_least(ERLANG[1], sure, just_bought, weeks).sum() == pytest.approx(expected, rel=1e-5)


@pytest.fixture(scope="module")
def cdnow() -> Purchases:
    """The CDNOW sample."""
    rows = (
        cdnow_purchase_days()
        .query(
            "days",
            """
            select dense_rank() over (order by customer_id) - 1 as customer, purchase_date - date '1970-01-01' as day
            from days
            order by customer, day
            """,
        )
        .fetchnumpy()
    )
    return Purchases(rows["customer"].astype(np.int64), rows["day"].astype(np.int64))


def test_cdnow_is_predicted_as_the_literature_does(cdnow: Purchases) -> None:
    outcome = evaluate(BG, cdnow, days_since_1970(date(1997, 9, 30)), days_since_1970(date(1998, 6, 30)))
    assert outcome.fitted["log_likelihood"] == pytest.approx(-9582.4292, abs=1e-3)
    assert outcome.fitted["parameters"] == pytest.approx((0.242595, 4.413602, 0.792922, 2.425906), rel=1e-4)
    assert (outcome.actual.size, outcome.actual.sum(), (outcome.actual > 0).sum()) == (2_357, 1_882, 684)
    assert outcome.predicted.sum() == pytest.approx(1653.41, abs=0.01)
    assert outcome.mae == pytest.approx(0.7855, abs=1e-4)
    assert outcome.rmse == pytest.approx(1.6080, abs=1e-4)
    assert outcome.spearman == pytest.approx(0.4493, abs=1e-4)
    assert (outcome.months.size, outcome.actual_months.size) == (9, 9)
    assert outcome.months.sum() == pytest.approx(outcome.predicted.sum())
    assert outcome.actual_months.sum() == 1_882


def test_those_who_come_after_the_cutoff_are_left_out(cdnow: Purchases) -> None:
    cutoff = days_since_1970(date(1997, 1, 31))
    known = cdnow.of_customers_by(cutoff)
    assert known.day[~known.is_repeat].max() <= cutoff
    assert known.customer.max() + 1 == (cdnow.day[~cdnow.is_repeat] <= cutoff).sum() == (~known.is_repeat).sum()


def test_a_faster_clock_is_a_smaller_rate() -> None:
    """Factors of 2 and alpha twice as large say the same of the same days: the density is per week, not per tick."""
    purchases = Purchases(np.array([0, 0, 0, 1]), np.array([10, 17, 40, 20]))
    calendar = Calendar.of(10, 60)
    slow, fast = (History.of(purchases, 60, calendar, factors) for factors in (NO_SEASON, 2 * NO_SEASON))
    assert slow.T.tolist() == pytest.approx([50 / 7, 40 / 7])
    for model in ERLANG:
        twice = PLANTED * np.array([1.0, 2.0, 1.0, 1.0])
        expected = log_likelihood(model, PLANTED, slow)
        assert log_likelihood(model, twice, fast) == pytest.approx(expected, rel=1e-12)


def test_every_day_passes_as_fast_as_its_month_says() -> None:
    purchases = Purchases(np.zeros(3, dtype=np.int64), np.array([10, 40, 70]))  # 11 January, 10 February, 12 March
    factors = np.concatenate([[1.0, 2.0, 3.0], np.ones(9)])
    history = History.of(purchases, 80, Calendar.of(0, 90), factors)
    assert (history.x.tolist(), history.t_x.tolist(), history.T.tolist()) == (
        [2],
        pytest.approx([(20 + 2 * 10 + 2 * 18 + 3 * 12) / 7]),
        pytest.approx([(20 + 2 * 28 + 3 * 22) / 7]),
    )
    assert history.log_gaps == pytest.approx(math.log(40 / 7) + math.log(72 / 7))
    assert history.log_factors == pytest.approx(math.log(2) + math.log(3))


def seasonal(factors: np.ndarray) -> tuple[Purchases, Calendar, int]:
    """Purchase days over two years of customers of MBG/NBD whose rate follows the months; first days in the first."""
    start, end = days_since_1970(date(2020, 1, 1)), days_since_1970(date(2021, 12, 31))
    random, size = np.random.default_rng(3), 4_000
    calendar = Calendar.of(start, end)
    clock = calendar.clock(np.arange(start, end + 1), factors)
    rows = set()
    for customer in range(size):
        rate, leave = random.gamma(1.2, 1 / 4.0), random.beta(0.8, 12.0)
        day = int(random.integers(0, 365))
        now = clock[day]
        while day < clock.size:
            rows.add((customer, start + day))
            if random.random() < leave:
                break
            now += random.exponential(1.0 / rate)
            day = int(np.searchsorted(clock, now))
    customer, day = np.array(sorted(rows)).T
    return Purchases(customer, day), calendar, end


def test_a_planted_season_is_found_in_the_months_that_were_seen() -> None:
    planted = np.array([0.6, 0.8, 0.9, 1.0, 1.0, 1.1, 0.7, 0.8, 1.0, 1.1, 1.4, 1.6])
    purchases, calendar, end = seasonal(planted)
    factors, spread = season(purchases, end, calendar)
    assert factors == pytest.approx(planted, abs=0.1)
    assert spread == pytest.approx(planted.std(), abs=0.1)
    seen = days_since_1970(date(2020, 6, 30))
    factors, _ = season(purchases.of_customers_by(seen), seen, calendar)
    assert factors[:6].mean() == pytest.approx(1.0)
    assert factors[6:].tolist() == [1.0] * 6


def test_where_none_is_planted_no_season_is_found() -> None:
    factors, spread = season(*(seasonal(NO_SEASON)[i] for i in (0, 2, 1)))
    assert spread < 0.03
    assert factors == pytest.approx(NO_SEASON, abs=0.03)


def outcome(**changed) -> Outcome:
    """Two hundred customers predicted alike: bias +10 %."""
    actual = np.tile([0, 2], 100)
    known = {"model": BASELINE, "fitted": {"fit_status": "ok"}, "factors": NO_SEASON, "spread": 0.0}
    scores = {"path_score": np.tile([-1.0, -2.0], 100), "count_score": np.tile([-1.0, -2.0], 100)}
    known |= scores | {"predicted": np.full(200, 1.1), "actual": actual}
    return Outcome(**known | {"months": np.array([220.0]), "actual_months": np.array([200])} | changed)


LIKELIER = {"path_score": np.tile([-0.9, -1.8], 100), "count_score": np.tile([-0.9, -1.8], 100)}


@pytest.mark.parametrize(
    ("changed", "wins"),
    [
        ({}, True),
        ({"fitted": {"fit_status": "a parameter is at its bound"}}, False),
        ({"path_score": np.tile([-1.0, -2.0], 100)}, False),
        ({"path_score": np.append(np.tile([-1.0, -2.0], 98), [-1.0, 0.0, -1.0, 0.0])}, False),
        ({"count_score": np.tile([-1.0, -2.1], 100)}, False),
        ({"predicted": np.tile([0.0, 2.24], 100)}, False),
        ({"predicted": np.tile([0.1, 1.9], 100)}, True),
        ({"predicted": np.tile([2.0, 0.0], 100)}, False),
    ],
    ids=["all better", "no proper fit", "as likely", "by luck", "counts worse", "total worse", "total right", "rmse"],
)
def test_a_win_is_likelier_and_no_worse(changed: dict, wins: bool) -> None:
    assert outcome(**LIKELIER | changed).beats(outcome()) is wins


def test_purchases_are_those_of_the_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Days, not orders; a day that refunds emptied is none, a free one is, a sale to nobody is nobody's."""
    monkeypatch.setenv("STRATA_HOME", str(tmp_path))
    split = replace(SPLITS[0], dataset="shop", customers="C1-%")
    with pytest.raises(StrataError, match="make refresh DATASET=shop"):
        purchases_of(split)
    (tmp_path / "published/shop").mkdir(parents=True)
    with duckdb.connect(str(tmp_path / "published/shop/strata.duckdb")) as connection:
        connection.execute("create schema marts")
        connection.execute(
            """
            create table marts.revenue_entries as
            select * from (values
                ('C1-b', date '1970-01-03', 1, 10.00, 10.00),
                ('C1-b', date '1970-01-03', 1, 10.00, 10.00),
                ('C1-a', date '1970-01-09', 1, 0.00, 0.00),
                ('C1-a', date '1970-01-05', 1, 10.00, 10.00),
                ('C1-a', date '1970-01-07', 1, 10.00, 10.00),
                ('C1-a', date '1970-01-07', 0, 0.00, -10.00),
                ('C1-a', date '1970-01-08', 1, 10.00, 10.00),
                ('C1-a', date '1970-01-08', -1, -10.00, -10.00),
                ('C2-a', date '1970-01-08', 1, 10.00, 10.00),
                (null, date '1970-01-08', 1, 10.00, 10.00)
            ) as entries (customer_id, event_date, orders, revenue, net_revenue)
            """
        )
    found = purchases_of(split)
    assert found.customer.tolist() == [0, 0, 1]
    assert found.day.tolist() == [4, 8, 2]
