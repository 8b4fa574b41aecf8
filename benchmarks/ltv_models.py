"""`python -m benchmarks.ltv_models`: do regular buyers or a season predict better than MBG/NBD on held-out time?

Reads the publications of three data sets, fits every candidate up to a cut-off and compares what it says of the time
after it with what happened. All of it concerns customers who had bought by the cut-off; later ones are left out.

The candidates are one family, MBG/CNBD-k (Reutterer, Platzer, Schroeder 2021, "Leveraging purchase regularity for
predicting customer behavior the easy way"): purchase rates are Gamma(r, alpha) over customers, the time to a purchase
is the sum of k exponentials, and after each purchase, the first too, a customer leaves with a chance that is
Beta(a, b) over customers. k = 1 is MBG/NBD; BG/NBD spares the first purchase. A season multiplies everybody's rate by a
factor of the calendar month, which is the same model on a clock that runs at the factor's speed. Time is in weeks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
import typer
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, digamma, gammaln, logsumexp, softmax, xlogy
from scipy.stats import spearmanr

from orchestration.errors import StrataError
from orchestration.fit import MAX_ABS_LOG_PARAMETER, ORDER_PARAMETERS, Floats, _maximise
from orchestration.settings import Settings

Ints = NDArray[np.int64]
MONTHS = 12
#: What may stand for the spread of the logarithms of the monthly factors; 0 is no season.
SPREADS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
NO_SEASON = np.ones(MONTHS)


@dataclass(frozen=True)
class Model:
    """A candidate: Erlang-k gaps, whether customers may leave after their first purchase, whether months differ."""

    name: str
    k: int = 1
    leaves_at_first: bool = True
    is_seasonal: bool = False


BASELINE = Model("MBG/NBD")
MODELS = (
    BASELINE,
    Model("BG/NBD", leaves_at_first=False),
    Model("MBG/CNBD-2", k=2),
    Model("MBG/CNBD-3", k=3),
    Model("MBG/NBD, season", is_seasonal=True),
    Model("MBG/CNBD-2, season", k=2, is_seasonal=True),
    Model("MBG/CNBD-3, season", k=3, is_seasonal=True),
)


@dataclass(frozen=True)
class Split:
    """A publication, which of its customers, the last day that a fit may see, and the last day of the hold-out.

    `counts` is the name of the data set for which a win counts; none where a split is shown for comparison only.
    """

    name: str
    dataset: str
    cutoff: date
    end: date
    counts: str | None
    customers: str = "%"


SPLITS = (
    Split("CDNOW sample", "cdnow_sample", date(1997, 9, 30), date(1998, 6, 30), "CDNOW"),
    # The publication's last day, 2018-01-01, is the evening of New York's 31 December.
    Split("Complete Journey", "complete_journey", date(2017, 6, 30), date(2017, 12, 31), "Complete Journey"),
    Split("Demo, all buyers", "demo", date(2025, 8, 31), date(2026, 2, 28), "the demo"),
    Split("Demo, group C1", "demo", date(2025, 8, 31), date(2026, 2, 28), None, "C1-%"),
    # Three months that were seen the year before: where a season could show.
    Split("CDNOW sample, a year seen", "cdnow_sample", date(1998, 3, 31), date(1998, 6, 30), None),
)


@dataclass(frozen=True)
class Purchases:
    """Purchase days, sorted by customer and day: customers as numbers from 0, days since 1970-01-01; shape (rows,)."""

    customer: Ints
    day: Ints

    def of_customers_by(self, cutoff: int) -> Purchases:
        """Those of the customers whose first purchase is on the cut-off or before."""
        is_first = np.diff(self.customer, prepend=-1) > 0
        is_known = (self.day[is_first] <= cutoff)[self.customer]
        _, customer = np.unique(self.customer[is_known], return_inverse=True)
        return Purchases(customer, self.day[is_known])

    def until(self, day: int) -> Purchases:
        """Those on that day or before."""
        return Purchases(self.customer[self.day <= day], self.day[self.day <= day])

    def counts(self, after: int, until: int) -> Ints:
        """Purchases of each customer in (after, until]; shape (customers,)."""
        return np.bincount(
            self.customer[(self.day > after) & (self.day <= until)], minlength=int(self.customer.max()) + 1
        )


@dataclass(frozen=True)
class Calendar:
    """The days from `start` on: weeks of each calendar month passed by the end of each, shape (days, 12)."""

    start: int
    months: Floats
    month_of_day: Ints

    @classmethod
    def of(cls, start: int, end: int) -> Calendar:
        """The calendar of the days start to end, counted from 1970-01-01; a purchase of day d happens at its end."""
        month = np.arange(start, end + 1).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % MONTHS
        weeks = np.zeros((month.size, MONTHS))
        weeks[np.arange(1, month.size), month[1:]] = 1.0 / 7.0
        return cls(start, np.cumsum(weeks, axis=0), month)

    def passed(self, day: Ints | int) -> Floats:
        """Weeks of each month passed by the end of a day; shape (..., 12)."""
        return self.months[np.asarray(day) - self.start]

    def month(self, day: Ints) -> Ints:
        """The calendar month of a day, January = 0."""
        return self.month_of_day[day - self.start]


@dataclass(frozen=True)
class History:
    """What customers did by a day, on the clock of a season (weeks); each of shape (customers,).

    x repeat purchases, t_x from the first to the last, T from the first to the day; `log_gaps` and `log_factors` are
    sums over the repeat purchases, of the logarithm of the time since the one before and of the month's factor.
    """

    x: Ints
    t_x: Floats
    T: Floats
    log_gaps: Floats
    log_factors: Floats

    @classmethod
    def of(cls, purchases: Purchases, until: int, calendar: Calendar, factors: Floats = NO_SEASON) -> History:
        """The history by the end of `until` of the customers in `purchases`, each of whom has bought by then."""
        seen = purchases.until(until)
        clock = calendar.passed(seen.day) @ factors
        is_repeat = np.diff(seen.customer, prepend=-1) == 0
        first = clock[~is_repeat]
        last = clock[np.append(~is_repeat[1:], True)]
        who, size = seen.customer[is_repeat], first.size
        gaps = np.diff(clock, prepend=0.0)[is_repeat]
        factor = factors[calendar.month(seen.day[is_repeat])]
        return cls(
            np.bincount(who, minlength=size),
            last - first,
            float(calendar.passed(until) @ factors) - first,
            np.bincount(who, weights=np.log(gaps), minlength=size),
            np.bincount(who, weights=np.log(factor), minlength=size),
        )

    def constant(self, k: int) -> Floats:
        """The part of each customer's log-likelihood that no parameter changes; without it k can't be compared."""
        return (k - 1) * self.log_gaps - self.x * math.lgamma(k) + self.log_factors


def log_terms(model: Model, parameters: Floats, x: Ints, t_x: Floats, T: Floats) -> Floats:
    """Logarithms of the k + 1 parts of the likelihood (without its constant), shape (k + 1, customers).

    Part j < k: alive, with j of the k exponentials passed since the last purchase,
        B(a, b+x+m) / B(a, b)  alpha^r G(r+kx+j) / (G(r) (alpha+T)^(r+kx+j))  (T-t_x)^j / j!
    with m = 1 for MBG and 0 for BG. Part k: gone since the last purchase,
        B(a+1, b+x+m-1) / B(a, b)  alpha^r G(r+kx) / (G(r) (alpha+t_x)^(r+kx)), nil for x = 0 of BG.
    """
    r, alpha, a, b = parameters
    k, beta = model.k, b + x + model.leaves_at_first
    stage = np.arange(k)[:, None]
    shape = r + k * x + stage
    stays = gammaln(shape) - shape * np.log(alpha + T) + xlogy(stage, T - t_x) - gammaln(stage + 1)
    odds = np.where(x + model.leaves_at_first > 0, a / np.where(x + model.leaves_at_first > 0, beta - 1.0, 1.0), 0.0)
    with np.errstate(divide="ignore"):
        leaves = gammaln(shape[0]) - shape[0] * np.log(alpha + t_x) + np.log(odds)
    common = betaln(a, beta) - betaln(a, b) + r * math.log(alpha) - gammaln(r)
    return np.vstack([stays, leaves]) + common


def log_likelihood(model: Model, parameters: Floats, history: History) -> Floats:
    """Log-likelihood of each customer's history in weeks, its constant included; shape (customers,)."""
    return logsumexp(log_terms(model, parameters, history.x, history.t_x, history.T), axis=0) + history.constant(
        model.k
    )


def slopes(
    model: Model, parameters: Floats, x: Ints, t_x: Floats, T: Floats
) -> tuple[float, Floats, tuple[Floats, Floats]]:
    """Sum of the log-likelihood without constant; its gradient in r, alpha, a, b; each customer's in t_x and T."""
    r, alpha, a, b = parameters
    k = model.k
    terms = log_terms(model, parameters, x, t_x, T)
    weights = softmax(terms, axis=0)
    stays, leaves = weights[:-1], weights[-1]
    stage = np.arange(k)[:, None]
    shape, late = r + k * x + stage, x + model.leaves_at_first
    beta = b + late
    # T = t_x: nobody can be past stage 0, and what moves T moves t_x as well.
    per_wait = np.divide(stays * stage, T - t_x, out=np.zeros_like(stays), where=T > t_x).sum(axis=0)
    by_T = per_wait - (stays * shape).sum(axis=0) / (alpha + T)
    by_t_x = -per_wait - leaves * shape[0] / (alpha + t_x)
    by_r = (stays * (digamma(shape) - np.log(alpha + T))).sum(axis=0)
    by_r += leaves * (digamma(shape[0]) - np.log(alpha + t_x))
    by_alpha = -(stays * shape).sum(axis=0) / (alpha + T) - leaves * shape[0] / (alpha + t_x)
    both = digamma(a + b) - digamma(a + beta)
    left = np.divide(leaves, beta - 1.0, out=np.zeros_like(leaves), where=late > 0)
    gradient = np.array(
        [
            by_r.sum() + x.size * (math.log(alpha) - digamma(r)),
            by_alpha.sum() + x.size * r / alpha,
            both.sum() + leaves.sum() / a,
            both.sum() + (digamma(beta) - digamma(b) - left).sum(),
        ]
    )
    return float(logsumexp(terms, axis=0).sum()), gradient, (by_t_x, by_T)


def jacobian(function: Callable[[Floats], Floats], at: Floats) -> Floats:
    """Derivatives of a gradient by central differences, made symmetric; shape (size, size)."""
    rows = []
    for i in range(at.size):
        step = np.zeros(at.size)
        step[i] = 1e-5 * max(1.0, abs(at[i]))
        rows.append((function(at + step) - function(at - step)) / (2.0 * step[i]))
    found = np.array(rows)
    return (found + found.T) / 2.0


def fit(model: Model, history: History) -> dict:
    """Maximum likelihood, by the optimiser and with the checks of the product: parameters, log-likelihood, status."""
    scale = 10.0 / history.T.max()
    t_x, T = history.t_x * scale, history.T * scale

    def objective(theta: Floats, with_hessian: bool) -> tuple[float, Floats, Floats | None]:
        value, gradient, _ = slopes(model, theta, history.x, t_x, T)
        hessian = jacobian(lambda at: slopes(model, at, history.x, t_x, T)[1], theta) if with_hessian else None
        return value, gradient, hessian

    shift = model.k * history.x.sum() * math.log(scale) + history.constant(model.k).sum()
    units = np.array([1.0, 1.0 / scale, 1.0, 1.0])
    return _maximise(objective, history.x.size, len(ORDER_PARAMETERS), units, float(shift))


def season(model: Model, purchases: Purchases, cutoff: int, calendar: Calendar) -> tuple[Floats, float]:
    """Monthly factors from what was bought by the cut-off, and the spread of their logarithms; factors (12,), mean 1.

    Parameters and log-factors are fitted together, so that customers who join or leave are not taken for a season.
    Log-factors are Normal(0, spread) beforehand, which shrinks what few purchases say; the spread is the one of
    SPREADS, or 0, under which the data are likeliest (Laplace's approximation). Months not seen keep the factor 1.
    """
    plain = History.of(purchases, cutoff, calendar)
    start = np.log(fit(model, plain)["parameters"])
    seen = purchases.until(cutoff)
    is_repeat = np.diff(seen.customer, prepend=-1) == 0
    passed = calendar.passed(seen.day)
    firsts, lasts = passed[~is_repeat], passed[np.append(~is_repeat[1:], True)]
    waited = calendar.passed(cutoff) - firsts
    months = np.flatnonzero(waited.sum(axis=0) > 0)
    waited, bought = waited[:, months], (lasts - firsts)[:, months]
    gaps = np.diff(passed, axis=0, prepend=0.0)[is_repeat][:, months]
    purchases_of_month = np.bincount(calendar.month(seen.day[is_repeat]), minlength=MONTHS)[months]
    x, k, size = plain.x, model.k, start.size

    def value_and_gradient(at: Floats) -> tuple[float, Floats]:
        parameters, factors = np.exp(at[:size]), np.exp(at[size:])
        value, gradient, (by_t_x, by_T) = slopes(model, parameters, x, bought @ factors, waited @ factors)
        clock_gaps = gaps @ factors
        value += (k - 1) * np.log(clock_gaps).sum() + purchases_of_month @ at[size:]
        by_factor = (k - 1) * (gaps / clock_gaps[:, None]).sum(axis=0) + by_t_x @ bought + by_T @ waited
        return value, np.append(gradient * parameters, purchases_of_month + by_factor * factors)

    def evidence(at: Floats, spread: float) -> float:
        size_of_season = at.size - size if spread else 0
        used = slice(None) if spread else slice(size)
        precision = np.append(np.zeros(size), np.full(at.size - size, spread**-2 if spread else 0.0))
        curvature = np.diag(precision)[used, used] - jacobian(lambda to: value_and_gradient(to)[1], at)[used, used]
        prior = -0.5 * float(precision @ at**2) - size_of_season * (math.log(spread) if spread else 0.0)
        return value_and_gradient(at)[0] + prior - 0.5 * float(np.linalg.slogdet(curvature)[1])

    none = np.append(start, np.zeros(months.size))
    best, best_spread, best_evidence = none, 0.0, evidence(none, 0.0)
    for spread in SPREADS:
        precision = np.append(np.zeros(size), np.full(months.size, spread**-2))

        def loss(at: Floats, precision: Floats = precision) -> tuple[float, Floats]:
            value, gradient = value_and_gradient(at)
            return (-value + 0.5 * precision @ at**2) / x.size, (-gradient + precision * at) / x.size

        limit = [(-MAX_ABS_LOG_PARAMETER, MAX_ABS_LOG_PARAMETER)] * none.size
        found = minimize(loss, none, jac=True, method="L-BFGS-B", bounds=limit, options={"ftol": 1e-13, "gtol": 1e-7})
        if (likely := evidence(found.x, spread)) > best_evidence:
            best, best_spread, best_evidence = found.x, spread, likely
    factors = NO_SEASON.copy()
    factors[months] = np.exp(best[size:]) / np.exp(best[size:]).mean()
    return factors, best_spread


def at_least(model: Model, parameters: Floats, history: History, weeks: float) -> Floats:
    """P(at least n purchases in the next weeks), n = 1, 2, ...; shape (customers, most purchases). Sums are E.

    Alive in stage j, the exponentials that pass in t weeks are negative binomial of shape r + kx + j with odds
    t / (alpha + T); the n-th purchase takes kn - j of them, and a customer who stayed after each of the n - 1 before:
    B(a, B+n-1) / B(a, B), B = b + x + m.
    """
    r, alpha, a, b = parameters
    k, x = model.k, history.x[:, None]
    weights = softmax(log_terms(model, parameters, history.x, history.t_x, history.T), axis=0)[:-1, :, None]
    scale = (alpha + history.T)[:, None]
    q = weeks / (scale + weeks)
    mean = (r + k * (x + 1)) * weeks / scale
    # Enough exponentials to leave out nothing of note: a normal's twelve deviations, a geometric's e^-30.
    most = mean + 12.0 * np.sqrt(mean * (1.0 + weeks / scale)) - 30.0 / np.log(q)
    size = math.ceil(float(most.max()) / k)
    passed = np.arange(1, k * (size + 1))
    others = np.arange(size - 1)
    beta = b + x + model.leaves_at_first
    stayed = np.cumprod((beta + others) / (a + beta + others), axis=1)
    stayed = np.hstack([np.ones_like(beta, dtype=float), stayed])
    total = np.zeros_like(stayed)
    for stage in range(k):
        shape = r + k * x + stage
        log_mass = np.cumsum(np.log((shape + passed - 1) / passed * q), axis=1) + shape * np.log1p(-q)
        tail = np.cumsum(np.exp(log_mass)[:, ::-1], axis=1)[:, ::-1]  # column i: more than i have passed
        total += weights[stage] * tail[:, np.arange(1, size + 1) * k - stage - 1] * stayed
    return total


@dataclass(frozen=True)
class Outcome:
    """One model on one split. Scores are logarithms per customer, `months` the expected purchases of each month."""

    model: Model
    fitted: dict
    factors: Floats
    spread: float
    score: Floats
    count_score: Floats
    predicted: Floats
    actual: Ints
    months: Floats
    actual_months: Floats

    @property
    def bias(self) -> float:
        """Predicted above actual purchases, in per cent."""
        return 100.0 * (self.predicted.sum() / self.actual.sum() - 1.0)

    @property
    def mae(self) -> float:
        """Mean absolute error per customer."""
        return float(np.abs(self.predicted - self.actual).mean())

    @property
    def rmse(self) -> float:
        """Root mean squared error per customer."""
        return math.sqrt(((self.predicted - self.actual) ** 2).mean())

    @property
    def spearman(self) -> float:
        """Rank correlation over customers."""
        return float(spearmanr(self.predicted, self.actual).statistic)

    @property
    def month_error(self) -> float:
        """Absolute errors of the months' totals, in per cent of all purchases."""
        return 100.0 * float(np.abs(self.months - self.actual_months).sum() / self.actual_months.sum())

    def gain(self, other: Outcome) -> tuple[float, float]:
        """How much more likely the hold-out is than under another model, in logarithms, and its standard error."""
        difference = self.score - other.score
        return float(difference.sum()), float(difference.std(ddof=1) * math.sqrt(difference.size))

    def beats(self, other: Outcome) -> bool:
        """Said before the figures were known: likelier in its path (by two standard errors) and in its counts, with
        no worse total (by half a point of bias) and no worse error per customer (half a per cent of the RMSE)."""
        gain, error = self.gain(other)
        return (
            self.fitted["fit_status"] == "ok"
            and gain > 2.0 * error
            and self.count_score.sum() > other.count_score.sum()
            and abs(self.bias) <= abs(other.bias) + 0.5
            and self.rmse <= 1.005 * other.rmse
        )


def evaluate(model: Model, purchases: Purchases, cutoff: int, end: int) -> Outcome:
    """Fit a model to what customers did by the cut-off, and compare what follows with what they did by the end."""
    purchases = purchases.of_customers_by(cutoff).until(end)
    calendar = Calendar.of(int(purchases.day.min()), end)
    factors, spread = season(model, purchases, cutoff, calendar) if model.is_seasonal else (NO_SEASON, 0.0)
    history = History.of(purchases, cutoff, calendar, factors)
    fitted = fit(model, history)
    parameters = np.array(fitted["parameters"])
    score = log_likelihood(model, parameters, History.of(purchases, end, calendar, factors))
    score -= log_likelihood(model, parameters, history)

    month_starts = np.arange(cutoff + 1, end + 1).astype("datetime64[D]").astype("datetime64[M]")
    next_starts = np.unique(month_starts) + np.timedelta64(1, "M")
    ends = np.minimum(next_starts.astype("datetime64[D]").astype(np.int64) - 1, end)
    expected = []
    for day in ends:
        chances = at_least(model, parameters, history, float((calendar.passed(day) - calendar.passed(cutoff)) @ factors))
        expected.append(chances.sum(axis=1))
    actual = purchases.counts(cutoff, end)
    # chances of the whole hold-out: at least as many as there were, less at least one more
    bounds = np.hstack([np.ones((actual.size, 1)), chances, np.zeros((actual.size, 1))])
    at = np.minimum(actual, chances.shape[1])
    rows = np.arange(actual.size)
    chance = np.maximum(bounds[rows, at] - bounds[rows, at + 1], 1e-15)
    return Outcome(
        model,
        fitted,
        factors,
        spread,
        score,
        np.log(chance),
        expected[-1],
        actual,
        np.diff([one.sum() for one in expected], prepend=0.0),
        np.array([purchases.counts(a, b).sum() for a, b in zip([cutoff, *ends[:-1]], ends, strict=True)]),
    )


def purchases_of(split: Split) -> Purchases:
    """Purchase days of the split's customers, as the purchase models of the product define them.

    Raises StrataError when the data set was not published.
    """
    path = Settings.of(split.dataset).published / "strata.duckdb"
    if not path.exists():
        raise StrataError(f"{path} is missing: make refresh DATASET={split.dataset}")
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute(
            """
            with days as (
                select customer_id, event_date
                from marts.revenue_entries
                where customer_id like ?
                group by customer_id, event_date
                having sum(orders) > 0 and (sum(net_revenue) > 0 or sum(revenue) = 0)
            )
            select dense_rank() over (order by customer_id) - 1 as customer, event_date - date '1970-01-01' as day
            from days
            order by customer, day
            """,
            [split.customers],
        ).fetchnumpy()
    return Purchases(rows["customer"].astype(np.int64), rows["day"].astype(np.int64))


def days_since_1970(day: date) -> int:
    """A date as the number that the arrays hold."""
    return (day - date(1970, 1, 1)).days


def print_outcomes(split: Split, outcomes: list[Outcome]) -> None:
    """The table of one split."""
    base = outcomes[0]
    weeks = (split.end - split.cutoff).days / 7
    print(f"\n{split.name}: {base.actual.size:,} customers by {split.cutoff}, {base.actual.sum():,} purchases in the")
    print(f"{weeks:.1f} weeks to {split.end}")
    print(
        f"  {'':<19}{'fit LL':>11}{'path gain':>11}{'+-':>7}{'counts gain':>13}{'predicted':>11}{'bias %':>8}"
        f"{'MAE':>8}{'RMSE':>8}{'Spearman':>10}{'months %':>10}  beats {BASELINE.name}"
    )
    for one in outcomes:
        gain, error = one.gain(base)
        counts = one.count_score.sum() - base.count_score.sum()
        print(
            f"  {one.model.name:<19}{one.fitted['log_likelihood']:>11,.1f}{gain:>11,.1f}{error:>7.1f}{counts:>13.1f}"
            f"{one.predicted.sum():>11,.1f}{one.bias:>8.2f}{one.mae:>8.4f}{one.rmse:>8.4f}{one.spearman:>10.4f}"
            f"{one.month_error:>10.1f}  {'yes' if one.beats(base) else 'no'}"
        )
    for one in outcomes:
        named = zip(ORDER_PARAMETERS, one.fitted["parameters"], strict=True)
        text = ", ".join(f"{name} {value:.4g}" for name, value in named)
        season_text = ""
        if one.model.is_seasonal:
            factors = " ".join(f"{factor:.2f}" for factor in one.factors)
            season_text = f"; spread {one.spread:g}, January to December {factors}"
        print(f"    {one.model.name}: {text}; fit {one.fitted['fit_status']}{season_text}")
    print("    purchases by month: " + " ".join(f"{count:,.0f}" for count in base.actual_months))
    for one in outcomes:
        print(f"      {one.model.name:<19}" + " ".join(f"{count:,.0f}" for count in one.months))


def main() -> None:
    """Print a table a split, and which candidates win on how many data sets."""
    won: dict[str, list[str]] = {model.name: [] for model in MODELS}
    for split in SPLITS:
        try:
            purchases = purchases_of(split)
        except StrataError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None
        cutoff, end = days_since_1970(split.cutoff), days_since_1970(split.end)
        outcomes = [evaluate(model, purchases, cutoff, end) for model in MODELS]
        print_outcomes(split, outcomes)
        for one in outcomes:
            if split.counts and one.beats(outcomes[0]):
                won[one.model.name].append(split.counts)
    print(f"\nBetter than {BASELINE.name} on hold-out (kept from two of three on)")
    for name, where in won.items():
        if name != BASELINE.name:
            print(f"  {name:<19}{len(where)} of 3{': ' + ', '.join(where) if where else ''}")


if __name__ == "__main__":
    typer.run(main)
