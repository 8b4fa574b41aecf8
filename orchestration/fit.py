"""Fits of the purchase and spend models, by maximum likelihood on aggregated sufficient statistics.

Knows NumPy and SciPy only: any engine that can group and count can call it.

Orders: BG/NBD (Fader, Hardie, Lee 2005, "Counting your customers the easy way", eq. 6) and MBG/NBD (Batislam,
Denizel, Filiztekin 2007), which also lets a customer leave right after the first purchase. Purchase rates are
Gamma(r, alpha) over customers, the chance to leave after a purchase is Beta(a, b). Spend: Gamma-Gamma (Fader, Hardie
2013), purchase amounts Gamma(p, nu) with nu Gamma(q, gamma) over customers. The unit of time in every result is weeks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import digamma, gammaln, polygamma

FAMILIES = ("bg", "mbg")
ORDER_PARAMETERS = ("r", "alpha", "a", "b")
SPEND_PARAMETERS = ("p", "q", "gamma")

MIN_REPEAT_BUYERS = 30
MAX_ABS_LOG_PARAMETER = 9.0
MAX_CONDITION_NUMBER = 1e5
MAX_LOG_STANDARD_ERROR = 1.0
# A repeat buyer above this multiple of the 95th percentile is a bot, a till or a house account, and set aside. The tail
# of both models falls off exponentially: at 10 million customers their largest x is about 5 times the 95th percentile.
CAP_MULTIPLE = 10
CAP_FLOOR = 30
#: Rows worked on at once: 64 KB a column, which stays in a core's cache and is not given back to the system and asked
#: for again at every step.
BLOCK_ROWS = 8_192
#: Rows that are enough to find about where the maximum is.
PICTURE_ROWS = 20_000

Floats = NDArray[np.float64]
Objective = Callable[[Floats, bool], tuple[float, Floats, Floats | None]]


@dataclass(frozen=True)
class OrderFit:
    """A fitted BG/NBD or MBG/NBD. `parameters` are r, alpha (weeks), a, b; None where nothing could be fitted.

    `covariance` (4 x 4) is that of the logarithms of the parameters; `standard_errors` are those of the parameters
    themselves. Usable only when `fit_status` is 'ok': otherwise it says why not.
    """

    family: str
    parameters: tuple[float, ...] | None
    standard_errors: tuple[float, ...] | None
    covariance: tuple[tuple[float, ...], ...] | None
    log_likelihood: float | None
    customers: int
    repeat_buyers: int
    frequency_cap: int | None
    customers_set_aside: int
    fit_status: str


@dataclass(frozen=True)
class SpendFit:
    """A fitted Gamma-Gamma. `parameters` are p, q, gamma (money); otherwise as OrderFit, with a 3 x 3 covariance."""

    parameters: tuple[float, ...] | None
    standard_errors: tuple[float, ...] | None
    covariance: tuple[tuple[float, ...], ...] | None
    log_likelihood: float | None
    repeat_buyers: int
    fit_status: str


def fit_orders(
    frequency: ArrayLike, recency_days: ArrayLike, age_days: ArrayLike, customers: ArrayLike, family: str
) -> OrderFit:
    """Fit one family to rows of (x, t_x in days, T in days, how many customers), in any order, aggregated or not.

    The four arrays have one shape (rows,). x is the number of repeat purchase days, t_x the days from first to last
    purchase (0 where x is 0), T the days from first purchase to cut-off. Raises ValueError on impossible rows.
    """
    (x, recency, age, n), cap, set_aside = _plausible_rows(frequency, recency_days, age_days, customers, family)
    total, repeat = int(n.sum()), int(n[x > 0].sum())
    known = {"family": family, "customers": total, "repeat_buyers": repeat}
    known |= {"frequency_cap": cap, "customers_set_aside": set_aside}
    if repeat < MIN_REPEAT_BUYERS:
        return OrderFit(**known, **_unfitted(repeat))

    scale = 10.0 / age.max()  # days to the model's unit: the longest age is 10, so bounds mean the same everywhere

    def objective_of(every: int) -> Objective:
        return _order_objective(*(c[::every] for c in (x, recency * scale, age * scale, n)), is_mbg=family == "mbg")

    # Rows are sorted, so every n-th of them is a fair picture: its maximum is next to that of all.
    every = n.size // PICTURE_ROWS
    picture = _climb(objective_of(every), int(n[::every].sum()), np.zeros(4)) if every > 1 else None
    near = picture[0] if picture and picture[3] == "ok" else None
    units = np.array([1.0, 1.0 / (scale * 7.0), 1.0, 1.0])
    shift = float((n * x).sum()) * math.log(scale * 7.0)
    return OrderFit(**known, **_maximise(objective_of(1), total, len(ORDER_PARAMETERS), units, shift, near))


def fit_spend(frequency: ArrayLike, repeat_spend_cents: ArrayLike, customers: ArrayLike) -> SpendFit:
    """Fit Gamma-Gamma to rows of (x, sum of the repeat days' amounts in cents, how many customers), in any order.

    Rows with x = 0 or without positive spend carry no information and are left out. gamma comes back in money, not
    cents.
    """
    x, cents, n = _informative_rows(frequency, repeat_spend_cents, customers)
    repeat = int(n.sum())
    if repeat < MIN_REPEAT_BUYERS:
        return SpendFit(repeat_buyers=repeat, **_unfitted(repeat))

    spend = cents / 100.0
    scale = math.exp(float(n @ np.log(spend / x)) / repeat)  # the geometric mean: one huge order must not set the unit
    objective = _spend_objective(x, spend / scale, n)
    units = np.array([1.0, 1.0, scale])
    fitted = _maximise(objective, repeat, len(SPEND_PARAMETERS), units, -repeat * math.log(scale))
    if fitted["fit_status"] == "ok" and fitted["parameters"][1] <= 1.0:
        fitted["fit_status"] = "q is not above 1: mean spend has no expected value"
    return SpendFit(repeat_buyers=repeat, **fitted)


def order_log_likelihood(
    frequency: ArrayLike,
    recency_days: ArrayLike,
    age_days: ArrayLike,
    customers: ArrayLike,
    family: str,
    parameters: Sequence[float],
) -> float:
    """Log-likelihood, time in weeks, of rows as in fit_orders under given r, alpha, a, b; obvious bots left out.

    The same customers at a later day less those at an earlier one: how well the parameters foretold the time between.
    """
    (x, recency, age, n), _, _ = _plausible_rows(frequency, recency_days, age_days, customers, family)
    if n.size == 0:
        return 0.0
    objective = _order_objective(x, recency / 7.0, age / 7.0, n, is_mbg=family == "mbg")
    return float(objective(np.asarray(parameters, dtype=float), False)[0])


def spend_log_likelihood(
    frequency: ArrayLike, repeat_spend_cents: ArrayLike, customers: ArrayLike, parameters: Sequence[float]
) -> float:
    """Log-likelihood of rows as in fit_spend under given p, q, gamma (money)."""
    x, cents, n = _informative_rows(frequency, repeat_spend_cents, customers)
    if n.size == 0:
        return 0.0
    return float(_spend_objective(x, cents / 100.0, n)(np.asarray(parameters, dtype=float), False)[0])


def _plausible_rows(
    frequency: ArrayLike, recency_days: ArrayLike, age_days: ArrayLike, customers: ArrayLike, family: str
) -> tuple[tuple[NDArray[np.int64], ...], int | None, int]:
    """Checked and aggregated rows without obvious bots; the cap on x; how many customers are above it."""
    if family not in FAMILIES:
        raise ValueError(f"family {family!r} is none of {FAMILIES}")
    x, recency, age, n = _aggregate(frequency, recency_days, age_days, customers=customers)
    if np.any((recency < 0) | (recency > age) | ((x == 0) & (recency > 0))):
        raise ValueError("recency_days must lie between 0 and age_days, and be 0 where frequency is 0")
    cap = frequency_cap(x, n)
    is_plausible = np.ones(n.size, dtype=bool) if cap is None else x <= cap
    kept = tuple(column[is_plausible] for column in (x, recency, age, n))
    return kept, cap, int(n[~is_plausible].sum())


def _informative_rows(
    frequency: ArrayLike, repeat_spend_cents: ArrayLike, customers: ArrayLike
) -> tuple[NDArray[np.int64], ...]:
    x, cents, n = _aggregate(frequency, repeat_spend_cents, customers=customers)
    informative = (x > 0) & (cents > 0)
    return x[informative], cents[informative], n[informative]


def frequency_cap(frequency: NDArray[np.int64], customers: NDArray[np.int64]) -> int | None:
    """The largest x that enters a fit: 10 times the 95th percentile (nearest rank) of repeat buyers, at least 30.

    None without repeat buyers. One customer with x = 10,000 among CDNOW's 2,357 moves alpha from 4.41 to 0.59.
    """
    repeat = frequency > 0
    if not repeat.any():
        return None
    order = np.argsort(frequency[repeat], kind="stable")
    x, cumulated = frequency[repeat][order], np.cumsum(customers[repeat][order])
    rank = math.ceil(0.95 * cumulated[-1])
    return max(CAP_FLOOR, CAP_MULTIPLE * int(x[np.searchsorted(cumulated, rank)]))


def _aggregate(*columns: ArrayLike, customers: ArrayLike) -> tuple[NDArray[np.int64], ...]:
    """Equal rows added up, in sorted order: sums of doubles, and so the fit, must not depend on the rows' order."""
    keys = [np.asarray(column, dtype=np.int64) for column in columns]
    n = np.asarray(customers, dtype=np.int64)
    if any(key.shape != n.shape or key.ndim != 1 for key in keys):
        raise ValueError("all columns must be one-dimensional and equally long")
    if np.any(keys[0] < 0) or np.any(n < 0):
        raise ValueError("frequency and customers must not be negative")
    if n.size == 0:
        return (*keys, n)
    order = np.lexsort(keys[::-1])
    keys, n = [key[order] for key in keys], n[order]
    is_first = np.ones(n.size, dtype=bool)
    is_first[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    starts = np.flatnonzero(is_first)
    return (*(key[starts] for key in keys), np.add.reduceat(n, starts))


def _order_objective(
    x: NDArray[np.int64], recency: Floats, age: Floats, n: NDArray[np.int64], is_mbg: bool
) -> Objective:
    """Log-likelihood, gradient and Hessian in the natural parameters.

    ln L = lnG(r+x) - lnG(r) + r ln(alpha) + ln B(a, b+x+m) - ln B(a, b) - (r+x) ln(alpha+T) + ln(1 + e^d), with
    d = ln(a / (b+x+m-1)) + (r+x) ln((alpha+T) / (alpha+t_x)) the log-odds that the customer has left, m = 1 for MBG/NBD
    and 0 for BG/NBD, where nobody has left at x = 0. All but the last term depends on x or on T alone: gamma functions
    are evaluated on distinct x, logarithms on distinct days, and only d row by row, in blocks that stay in the cache.
    """
    m = 1 if is_mbg else 0
    xs, at_x = np.unique(x, return_inverse=True)
    ages, at_age = np.unique(age, return_inverse=True)
    recencies, at_recency = np.unique(recency, return_inverse=True)
    n_rows = n.astype(float)
    n_x, n_age = np.bincount(at_x, weights=n_rows), np.bincount(at_age, weights=n_rows)
    orders_age = np.bincount(at_age, weights=n_rows * x)
    total = n_rows.sum()
    may_leave = xs + m > 0
    blocks = [
        (at_x[start:stop], at_age[start:stop], at_recency[start:stop], n_rows[start:stop])
        for start, stop in ((start, start + BLOCK_ROWS) for start in range(0, x.size, BLOCK_ROWS))
    ]

    def objective(theta: Floats, with_hessian: bool) -> tuple[float, Floats, Floats | None]:
        r, alpha, a, b = theta
        rx = r + xs
        log_age, log_recency = np.log(alpha + ages), np.log(alpha + recencies)
        inv_age, inv_recency = 1.0 / (alpha + ages), 1.0 / (alpha + recencies)
        leave = np.where(may_leave, b + xs + m - 1.0, 1.0)  # where nobody can have left any number does
        inv_leave = 1.0 / leave
        log_exit = np.where(may_leave, math.log(a) - np.log(leave), -np.inf)

        value_left, left_r, left_alpha = 0.0, 0.0, 0.0
        left_x = np.zeros(xs.size)
        # second derivatives: those of d weighted by who has left, and products of its first ones by who may have
        curved = np.zeros((2, 2))
        both_x = np.zeros((3, xs.size))
        for of_x, of_age, of_recency, n_block in blocks:
            rx_block = rx[of_x]
            by_r = log_age[of_age] - log_recency[of_recency]
            inverses = inv_age[of_age], inv_recency[of_recency]
            by_rate = inverses[0] - inverses[1]
            by_alpha = rx_block * by_rate
            d = log_exit[of_x] + rx_block * by_r
            tail = np.exp(-np.abs(d))
            w_left = np.where(d > 0.0, 1.0, tail) / (1.0 + tail)
            left = n_block * w_left
            value_left += n_block @ (np.maximum(d, 0.0) + np.log(1.0 + tail))
            left_r += left @ by_r
            left_alpha += left @ by_alpha
            left_x += np.bincount(of_x, weights=left, minlength=xs.size)
            if with_hessian:
                both = left * (1.0 - w_left)
                both_r, both_alpha = both * by_r, both * by_alpha
                cross = both_r @ by_alpha + left @ by_rate
                curved += [
                    [both_r @ by_r, cross],
                    [cross, both_alpha @ by_alpha - (left * by_alpha) @ (inverses[0] + inverses[1])],
                ]
                both_x += [np.bincount(of_x, weights=w, minlength=xs.size) for w in (both, both_r, both_alpha)]

        rx_age = r * n_age + orders_age
        value = n_x @ (gammaln(rx) + gammaln(b + xs + m) - gammaln(a + b + xs + m))
        value += total * (r * math.log(alpha) - gammaln(r) + gammaln(a + b) - gammaln(b))
        value += value_left - rx_age @ log_age
        psi_abx, psi_ab = digamma(a + b + xs + m), digamma(a + b)
        gradient = np.array(
            [
                n_x @ digamma(rx) + total * (math.log(alpha) - digamma(r)) - n_age @ log_age + left_r,
                total * r / alpha - rx_age @ inv_age + left_alpha,
                total * psi_ab - n_x @ psi_abx + left_x.sum() / a,
                total * (psi_ab - digamma(b)) + n_x @ (digamma(b + xs + m) - psi_abx) - left_x @ inv_leave,
            ]
        )
        if not with_hessian:
            return value, gradient, None

        hessian = np.zeros((4, 4))
        hessian[:2, :2] = curved
        hessian[:2, 2] = both_x[1:].sum(axis=1) / a
        hessian[:2, 3] = -both_x[1:] @ inv_leave
        hessian[2:, :2] = hessian[:2, 2:].T
        cross = total / alpha - n_age @ inv_age
        hessian[0, 0] += n_x @ polygamma(1, rx) - total * polygamma(1, r)
        hessian[0, 1] += cross
        hessian[1, 0] += cross
        hessian[1, 1] += -total * r / alpha**2 + rx_age @ inv_age**2
        hessian[2:, 2:] = total * polygamma(1, a + b) - n_x @ polygamma(1, a + b + xs + m)
        hessian[2, 2] += (both_x[0].sum() - left_x.sum()) / a**2
        hessian[2, 3] -= both_x[0] @ inv_leave / a
        hessian[3, 2] -= both_x[0] @ inv_leave / a
        hessian[3, 3] += n_x @ polygamma(1, b + xs + m) - total * polygamma(1, b) + (both_x[0] + left_x) @ inv_leave**2
        return value, gradient, hessian

    return objective


def _spend_objective(x: NDArray[np.int64], spend: Floats, n: NDArray[np.int64]) -> Objective:
    """Gamma-Gamma: ln L = lnG(px+q) - lnG(px) - lnG(q) + q ln(gamma) + px ln(s) - ln(s/x) - (px+q) ln(gamma+s)."""
    xs, at_x = np.unique(x, return_inverse=True)
    n_x = np.bincount(at_x, weights=n)
    n_rows = n.astype(float)
    total = n_rows.sum()
    log_spend = np.log(spend)
    log_spend_x = np.bincount(at_x, weights=n_rows * log_spend)
    constant = -(n_rows @ (log_spend - np.log(x)))

    def objective(theta: Floats, with_hessian: bool) -> tuple[float, Floats, Floats | None]:
        p, q, gamma = theta
        px = p * xs
        log_sum_x = np.bincount(at_x, weights=n_rows * np.log(gamma + spend))
        inv_sum = 1.0 / (gamma + spend)
        inv_sum_x = np.bincount(at_x, weights=n_rows * inv_sum)
        value = n_x @ (gammaln(px + q) - gammaln(px)) + total * (q * math.log(gamma) - gammaln(q))
        value += px @ log_spend_x - (px + q) @ log_sum_x + constant
        psi_pxq = digamma(px + q)
        gradient = np.array(
            [
                (n_x * xs) @ (psi_pxq - digamma(px)) + xs @ (log_spend_x - log_sum_x),
                n_x @ psi_pxq + total * (math.log(gamma) - digamma(q)) - log_sum_x.sum(),
                total * q / gamma - (px + q) @ inv_sum_x,
            ]
        )
        if not with_hessian:
            return value, gradient, None
        tri_pxq = polygamma(1, px + q)
        inv_square_x = np.bincount(at_x, weights=n_rows * inv_sum**2)
        pp = (n_x * xs**2) @ (tri_pxq - polygamma(1, px))
        pq = (n_x * xs) @ tri_pxq
        pg = -xs @ inv_sum_x
        qq = n_x @ tri_pxq - total * polygamma(1, q)
        qg = total / gamma - inv_sum_x.sum()
        gg = -total * q / gamma**2 + (px + q) @ inv_square_x
        return value, gradient, np.array([[pp, pq, pg], [pq, qq, qg], [pg, qg, gg]])

    return objective


def _maximise(
    objective: Objective, customers: int, size: int, units: Floats, shift: float, near: Floats | None = None
) -> dict:
    """Maximise over log-parameters: L-BFGS-B, then Newton. Returns the fields of a fit, in the caller's units.

    `units` turns the scaled parameters into reported ones, `shift` the scaled log-likelihood into the reported one.
    `near`: log-parameters close to the maximum, where some are known. Where no proper maximum is found, two more starts
    are tried; the best log-likelihood is kept.
    """
    starts = [np.zeros(size), np.full(size, -1.0), np.full(size, 1.0)]
    best = _climb(objective, customers, starts[0] if near is None else near, is_near=near is not None)
    if best[3] in (AT_BOUND, NOT_POSITIVE_DEFINITE):
        best = max([best, *(_climb(objective, customers, start) for start in starts[1:])], key=lambda found: found[1])
    log_theta, value, hessian, status = best
    theta = np.exp(log_theta) * units
    fitted = {"parameters": tuple(theta.tolist()), "log_likelihood": value + shift, "fit_status": status}
    if status in (AT_BOUND, NOT_POSITIVE_DEFINITE, ILL_CONDITIONED):
        return fitted | {"standard_errors": None, "covariance": None}
    covariance = np.linalg.inv(hessian)
    covariance = (covariance + covariance.T) / 2.0
    errors = theta * np.sqrt(np.diag(covariance))
    return fitted | {
        "standard_errors": tuple(errors.tolist()),
        "covariance": tuple(tuple(row) for row in covariance.tolist()),
    }


AT_BOUND = "a parameter is at its bound"
NOT_POSITIVE_DEFINITE = "the likelihood has no proper maximum (Hessian not positive definite)"
ILL_CONDITIONED = f"the parameters can't be told apart (condition number above {MAX_CONDITION_NUMBER:.0f})"
TOO_UNCERTAIN = f"a parameter is too uncertain (standard error of its logarithm above {MAX_LOG_STANDARD_ERROR:.0f})"


def _climb(
    objective: Objective, customers: int, start: Floats, *, is_near: bool = False
) -> tuple[Floats, float, Floats, str]:
    """One optimisation: log-parameters, log-likelihood, Hessian of its negative in log-parameters, status.

    From a start that `is_near` the maximum Newton's steps alone are tried first.
    """

    def loss(log_theta: Floats) -> tuple[float, Floats]:
        theta = np.exp(log_theta)
        value, gradient, _ = objective(theta, False)
        return -value / customers, -gradient * theta / customers

    def curvature(log_theta: Floats) -> tuple[float, Floats, Floats]:
        theta = np.exp(log_theta)
        value, gradient, hessian = objective(theta, True)
        return value, -gradient * theta, -(hessian * np.outer(theta, theta) + np.diag(gradient * theta))

    bound, log_theta = MAX_ABS_LOG_PARAMETER, start
    if not is_near:
        found = minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-bound, bound)] * start.size,
            options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-7},
        )
        log_theta = np.asarray(found.x)
    value, gradient, hessian = curvature(log_theta)
    for _ in range(20):
        if np.abs(gradient).max() <= 1e-9 * customers or not _is_positive_definite(hessian):
            break
        step = np.linalg.solve(hessian, gradient)
        candidate = np.clip(log_theta - step * min(1.0, 1.0 / np.abs(step).max()), -bound, bound)
        following = curvature(candidate)
        if not following[0] > value:
            break
        log_theta, (value, gradient, hessian) = candidate, following

    status = _status(log_theta, hessian)
    if is_near and (status != "ok" or np.abs(gradient).max() > 1e-7 * customers):
        return _climb(objective, customers, np.zeros(start.size))
    return log_theta, float(value), hessian, status


def _is_positive_definite(hessian: Floats) -> bool:
    return bool(np.all(np.isfinite(hessian)) and np.linalg.eigvalsh(hessian)[0] > 0.0)


def _status(log_theta: Floats, hessian: Floats) -> str:
    """'ok', or the first reason why the data do not support these parameters: optimisers report success on anything."""
    if np.abs(log_theta).max() >= MAX_ABS_LOG_PARAMETER - 1e-3:
        return AT_BOUND
    if not _is_positive_definite(hessian):
        return NOT_POSITIVE_DEFINITE
    eigenvalues = np.linalg.eigvalsh(hessian)
    if eigenvalues[-1] / eigenvalues[0] > MAX_CONDITION_NUMBER:
        return ILL_CONDITIONED
    if math.sqrt(np.diag(np.linalg.inv(hessian)).max()) > MAX_LOG_STANDARD_ERROR:
        return TOO_UNCERTAIN
    return "ok"


def _unfitted(repeat_buyers: int) -> dict:
    return {
        "parameters": None,
        "standard_errors": None,
        "covariance": None,
        "log_likelihood": None,
        "fit_status": f"{repeat_buyers} repeat buyers: a fit needs {MIN_REPEAT_BUYERS}",
    }
