"""The fits: published figures on CDNOW, and what must be flagged."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from ltv_project import cdnow_purchase_days, customer_snapshots
from orchestration import fit
from orchestration.fit import FAMILIES, OrderFit, fit_orders, fit_spend

ORDER_COLUMNS = ("frequency", "recency_days", "age_days", "customers")
# r, alpha, a, b, log-likelihood, and the standard errors that the literature's code gives for BG/NBD
CDNOW = {
    "bg": ((0.242595, 4.413602, 0.792922, 2.425906), 1e-4, -9582.4292),
    "mbg": ((0.52483, 6.18299, 0.89136, 1.61400), 1e-3, -9582.136),
}


@pytest.fixture(scope="module")
def cdnow() -> dict[str, np.ndarray]:
    """The CDNOW sample at the end of its calibration, one row per customer."""
    table = customer_snapshots(cdnow_purchase_days(), ["1997-09-30"])
    rows = {name: table.column(name).to_numpy() for name in ("frequency", "recency_days", "age_days")}
    rows["repeat_spend_cents"] = np.array([int(value * 100) for value in table.column("repeat_spend").to_pylist()])
    rows["customers"] = np.ones(table.num_rows, dtype=np.int64)
    return rows


def orders_of(rows: dict[str, np.ndarray], family: str = "bg") -> OrderFit:
    """Fit the rows as they are."""
    return fit_orders(*(rows[name] for name in ORDER_COLUMNS), family)


def simulated(size: int, b: float, seed: int = 1) -> dict[str, np.ndarray]:
    """Customers of a BG/NBD with r 0.8, alpha 6, a 0.8 and this b over at most 60 weeks."""
    random = np.random.default_rng(seed)
    rate, leave = random.gamma(0.8, 1 / 6.0, size), random.beta(0.8, b, size)
    age = random.integers(10, 420, size)
    frequency, recency = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for i in range(size):
        day = random.exponential(7.0 / rate[i])
        while day <= age[i]:
            frequency[i] += 1
            recency[i] = round(day)
            if random.random() < leave[i]:
                break
            day += random.exponential(7.0 / rate[i])
    recency = np.minimum(recency, age)
    return {"frequency": frequency, "recency_days": recency, "age_days": age, "customers": np.ones(size, dtype=int)}


def test_cdnow_counts(cdnow: dict[str, np.ndarray]) -> None:
    assert len(cdnow["frequency"]) == 2_357
    assert cdnow["frequency"].sum() == 2_457
    assert (cdnow["frequency"] > 0).sum() == 946


@pytest.mark.parametrize("family", FAMILIES)
def test_cdnow_parameters(cdnow: dict[str, np.ndarray], family: str) -> None:
    parameters, tolerance, log_likelihood = CDNOW[family]
    fitted = orders_of(cdnow, family)
    assert fitted.fit_status == "ok"
    assert fitted.parameters == pytest.approx(parameters, rel=tolerance)
    assert fitted.log_likelihood == pytest.approx(log_likelihood, abs=1e-3)
    assert (fitted.customers, fitted.repeat_buyers, fitted.customers_set_aside) == (2_357, 946, 0)


def test_cdnow_standard_errors(cdnow: dict[str, np.ndarray]) -> None:
    fitted = orders_of(cdnow)
    assert fitted.standard_errors == pytest.approx((0.01256, 0.3782, 0.1857, 0.7054), rel=0.02)
    of_logs = np.array(fitted.standard_errors) / np.array(fitted.parameters)
    assert np.sqrt(np.diag(fitted.covariance)) == pytest.approx(of_logs)


def test_cdnow_spend(cdnow: dict[str, np.ndarray]) -> None:
    fitted = fit_spend(cdnow["frequency"], cdnow["repeat_spend_cents"], cdnow["customers"])
    assert fitted.fit_status == "ok"
    assert fitted.parameters == pytest.approx((6.24957, 3.74422, 15.44352), rel=1e-3)
    assert fitted.log_likelihood == pytest.approx(-4055.9177, abs=1e-3)
    assert fitted.repeat_buyers == 946


@pytest.mark.parametrize("family", FAMILIES)
def test_aggregated_rows_and_shuffled_rows_give_the_same_fit(cdnow: dict[str, np.ndarray], family: str) -> None:
    keys = np.column_stack([cdnow[name] for name in ORDER_COLUMNS[:3]])
    distinct, counts = np.unique(keys, axis=0, return_counts=True)
    assert len(distinct) < len(keys)
    order = np.random.default_rng(2).permutation(len(distinct))
    aggregated = fit_orders(*distinct[order].T, counts[order], family)
    assert aggregated == orders_of(cdnow, family)  # to the last bit, standard errors too
    spend = [cdnow[name] for name in ("frequency", "repeat_spend_cents", "customers")]
    shuffled = np.random.default_rng(3).permutation(len(keys))
    assert fit_spend(*(column[shuffled] for column in spend)) == fit_spend(*spend)


@pytest.mark.parametrize("family", FAMILIES)
def test_log_likelihood_is_that_of_the_papers(cdnow: dict[str, np.ndarray], family: str) -> None:
    """Row by row from the papers' formulas, against the aggregated one, at parameters that are not the maximum."""
    r, alpha, a, b = 0.5, 3.0, 0.7, 2.0
    frequency, recency, age = (cdnow[name][:200].astype(float) for name in ORDER_COLUMNS[:3])
    direct = 0.0
    for x, t_x, t in zip(frequency, recency / 7, age / 7, strict=True):
        beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
        rate = math.lgamma(r + x) - math.lgamma(r) + r * math.log(alpha)
        late = 1 if family == "mbg" else 0
        alive = math.lgamma(a) + math.lgamma(b + x + late) - math.lgamma(a + b + x + late)
        total = math.exp(rate + alive - beta - (r + x) * math.log(alpha + t))
        if x > 0 or family == "mbg":
            left = math.lgamma(a + 1) + math.lgamma(b + x + late - 1) - math.lgamma(a + b + x + late)
            total += math.exp(rate + left - beta - (r + x) * math.log(alpha + t_x))
        direct += math.log(total)
    ones = np.ones(200, dtype=np.int64)
    objective = fit._order_objective(frequency.astype(int), recency / 7, age / 7, ones, is_mbg=family == "mbg")
    assert objective(np.array([r, alpha, a, b]), False)[0] == pytest.approx(direct, rel=1e-12)


@pytest.mark.parametrize("family", [*FAMILIES, "spend"])
def test_gradient_and_hessian_are_those_of_the_log_likelihood(cdnow: dict[str, np.ndarray], family: str) -> None:
    if family == "spend":
        is_repeat = cdnow["frequency"] > 0
        x, cents = cdnow["frequency"][is_repeat], cdnow["repeat_spend_cents"][is_repeat]
        objective, theta = fit._spend_objective(x, cents / 100.0, np.ones_like(x)), np.array([4.0, 3.0, 12.0])
    else:
        columns = [cdnow[name] for name in ORDER_COLUMNS]
        objective = fit._order_objective(columns[0], columns[1] / 7, columns[2] / 7, columns[3], family == "mbg")
        theta = np.array([0.5, 3.0, 0.7, 2.0])
    _, gradient, hessian = objective(theta, True)
    assert gradient == pytest.approx(approx_fprime(theta, lambda at: objective(at, False)[0], 1e-7), rel=1e-4)
    numeric = approx_fprime(theta, lambda at: objective(at, False)[1], 1e-7)
    assert hessian == pytest.approx(numeric, rel=1e-4, abs=1e-2)


@pytest.mark.parametrize("family", FAMILIES)
def test_random_starts_reach_the_same_maximum(cdnow: dict[str, np.ndarray], family: str) -> None:
    columns = [cdnow[name] for name in ORDER_COLUMNS]
    scale = 10 / columns[2].max()
    objective = fit._order_objective(columns[0], columns[1] * scale, columns[2] * scale, columns[3], family == "mbg")
    random = np.random.default_rng(4)
    values = [fit._climb(objective, 2_357, random.uniform(-2, 2, 4))[1] for _ in range(80)]
    assert max(values) - min(values) < 1e-6


@pytest.mark.parametrize("b", [2.5, 0.5])
def test_simulated_parameters_are_recovered(b: float) -> None:
    fitted = orders_of(simulated(20_000, b))
    planted = np.array([0.8, 6.0, 0.8, b])
    assert fitted.fit_status == "ok"
    assert np.all(np.abs(np.array(fitted.parameters) - planted) < 3.5 * np.array(fitted.standard_errors))


def test_a_bot_is_set_aside(cdnow: dict[str, np.ndarray]) -> None:
    with_bot = {name: np.append(values, values.max()) for name, values in cdnow.items()}
    with_bot["frequency"][-1] = 10_000
    fitted, without = orders_of(with_bot), orders_of(cdnow)
    assert fitted.customers_set_aside == 1
    assert fitted.parameters == without.parameters


def test_a_heavy_but_plausible_buyer_is_not_set_aside(cdnow: dict[str, np.ndarray]) -> None:
    heavy = {name: np.append(values, values.max()) for name, values in cdnow.items()}
    heavy["frequency"][-1] = fit.frequency_cap(cdnow["frequency"], cdnow["customers"])
    assert orders_of(heavy).customers_set_aside == 0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("frequency", "recency_days", "age_days", "customers"),
    [
        ([], [], [], []),
        ([3], [100], [200], [1]),
        ([0, 0, 0], [0, 0, 0], [10, 20, 30], [500, 500, 500]),
        ([0], [0], [0], [1_000]),
        ([0, 2], [0, 50], [300, 300], [1_000, 29]),
    ],
    ids=["empty", "one customer", "no repeat buyers", "first day", "29 repeat buyers"],
)
def test_too_few_repeat_buyers_are_not_fitted(frequency, recency_days, age_days, customers, family: str) -> None:
    fitted = fit_orders(frequency, recency_days, age_days, customers, family)
    assert "repeat buyers" in fitted.fit_status
    assert fitted.parameters is None
    assert fitted.covariance is None


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("frequency", "recency_days", "age_days", "customers"),
    [
        ([4], [200], [210], [1_000]),
        ([1, 1], [1, 2], [2, 2], [50, 50]),
        ([10, 0], [300, 0], [300, 300], [40, 40]),
    ],
    ids=["all alike", "two days of data", "all or nothing"],
)
def test_what_the_data_do_not_support_is_flagged(frequency, recency_days, age_days, customers, family: str) -> None:
    fitted = fit_orders(frequency, recency_days, age_days, customers, family)
    assert fitted.fit_status != "ok"
    assert all(math.isfinite(value) for value in (*fitted.parameters, fitted.log_likelihood))


def test_constant_spend_is_flagged() -> None:
    frequency = np.arange(1, 101)
    fitted = fit_spend(frequency, frequency * 1_999, np.ones(100, dtype=int))
    assert fitted.fit_status != "ok"


def test_spend_without_a_mean_is_flagged() -> None:
    random = np.random.default_rng(5)
    mean = 10 / random.gamma(0.6, 1.0, 3_000)  # q = 0.6: the mean over customers does not exist
    cents = (random.gamma(8 * 3.0, mean / 8) * 100).round().astype(np.int64)
    fitted = fit_spend(np.full(3_000, 3), cents, np.ones(3_000, dtype=int))
    assert fitted.fit_status.startswith("q is not above 1")


def test_spend_of_nobody_is_flagged() -> None:
    assert "repeat buyers" in fit_spend([], [], []).fit_status
    assert "repeat buyers" in fit_spend([1, 2], [0, 0], [50, 50]).fit_status


@pytest.mark.parametrize(
    ("columns", "family", "message"),
    [
        (([1], [10], [5], [1]), "bg", "recency_days"),
        (([0], [3], [5], [1]), "bg", "recency_days"),
        (([-1], [0], [5], [1]), "bg", "negative"),
        (([1], [1], [5, 6], [1]), "bg", "equally long"),
        (([1], [1], [5], [1]), "pareto", "family"),
    ],
)
def test_impossible_rows_are_refused(columns: tuple, family: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_orders(*columns, family)
