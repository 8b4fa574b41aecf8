"""`python -m benchmarks.ltv_models`: do regular buyers or a season predict better than MBG/NBD on held-out time?

Reads the publications of three data sets, fits every candidate up to a cut-off and compares what it says of the time
after it with what happened. All of it concerns customers who had bought by the cut-off; later ones are left out.
Purchase days are those that the publication knows, so that what is late or refunded is the same on both sides.

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
from scipy.special import betaln, digamma, gammaln, logsumexp, softmax, xlogy
from scipy.stats import spearmanr

from orchestration.errors import StrataError
from orchestration.fit import ORDER_PARAMETERS, Floats, _maximise
from orchestration.settings import Settings

Ints = NDArray[np.int64]
MONTHS = 12
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

    @property
    def is_repeat(self) -> NDArray[np.bool_]:
        """Whether a purchase is not its customer's first; shape (rows,)."""
        return np.diff(self.customer, prepend=-1) == 0

    @property
    def is_last(self) -> NDArray[np.bool_]:
        """Whether a purchase is its customer's last; shape (rows,)."""
        return np.append(~self.is_repeat[1:], True)

    def of_customers_by(self, cutoff: int) -> Purchases:
        """Those of the customers whose first purchase is on the cut-off or before."""
        is_known = (self.day[~self.is_repeat] <= cutoff)[self.customer]
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


def month_of(day: Ints) -> Ints:
    """The calendar month of days counted from 1970-01-01, January = 0."""
    return day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % MONTHS


@dataclass(frozen=True)
class Calendar:
    """The days from `start` on: weeks of each calendar month that have passed since; shape (days, 12)."""

    start: int
    weeks: Floats

    @classmethod
    def of(cls, start: int, end: int) -> Calendar:
        """The calendar of the days start to end, counted from 1970-01-01. Purchases happen at the end of their day."""
        weeks = np.zeros((end - start + 1, MONTHS))
        weeks[np.arange(1, len(weeks)), month_of(np.arange(start + 1, end + 1))] = 1.0 / 7.0
        return cls(start, np.cumsum(weeks, axis=0))

    def passed(self, day: Ints | int) -> Floats:
        """Weeks of each month passed by the end of a day; shape (..., 12)."""
        return self.weeks[np.asarray(day) - self.start]

    def clock(self, day: Ints | int, factors: Floats) -> Floats:
        """Weeks passed by the end of a day, each as long as its month's factor says."""
        return (self.weeks @ factors)[np.asarray(day) - self.start]  # one sum a day: equal days are equal times


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
        clock = calendar.clock(seen.day, factors)
        is_repeat = seen.is_repeat
        first, last = clock[~is_repeat], clock[seen.is_last]
        who, size = seen.customer[is_repeat], first.size
        gaps = np.diff(clock, prepend=0.0)[is_repeat]
        return cls(
            np.bincount(who, minlength=size),
            last - first,
            calendar.clock(until, factors) - first,
            np.bincount(who, weights=np.log(gaps), minlength=size),
            np.bincount(who, weights=np.log(factors[month_of(seen.day[is_repeat])]), minlength=size),
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
    stage = np.arange(model.k)[:, None]
    shape = r + model.k * x + stage
    occasions = x + model.leaves_at_first
    log_odds = np.where(occasions > 0, math.log(a) - np.log(b + np.maximum(occasions, 1) - 1.0), -np.inf)
    stays = gammaln(shape) - shape * np.log(alpha + T) + xlogy(stage, T - t_x) - gammaln(stage + 1)
    leaves = gammaln(shape[0]) - shape[0] * np.log(alpha + t_x) + log_odds
    return np.vstack([stays, leaves]) + betaln(a, b + occasions) - betaln(a, b) + r * math.log(alpha) - gammaln(r)


def log_likelihood(model: Model, parameters: Floats, history: History) -> Floats:
    """Log-likelihood of each customer's history in weeks, its constant included; shape (customers,)."""
    terms = log_terms(model, parameters, history.x, history.t_x, history.T)
    return logsumexp(terms, axis=0) + history.constant(model.k)


def slopes(model: Model, parameters: Floats, x: Ints, t_x: Floats, T: Floats) -> tuple[float, Floats]:
    """Sum of the log-likelihood without its constant, and its gradient in r, alpha, a, b."""
    r, alpha, a, b = parameters
    terms = log_terms(model, parameters, x, t_x, T)
    weights = softmax(terms, axis=0)
    leaves = weights[-1]
    shape = r + model.k * x + np.arange(model.k + 1)[:, None] % model.k  # who has left is in no stage
    log_time = np.log(alpha + np.vstack([np.tile(T, (model.k, 1)), t_x]))
    occasions = x + model.leaves_at_first
    by_both = (digamma(a + b) - digamma(a + b + occasions)).sum()
    by_b = (digamma(b + occasions) - digamma(b)).sum() - (leaves / (b + np.maximum(occasions, 1) - 1.0)).sum()
    gradient = np.array(
        [
            (weights * (digamma(shape) - log_time)).sum() + x.size * (math.log(alpha) - digamma(r)),
            x.size * r / alpha - (weights * shape * np.exp(-log_time)).sum(),
            by_both + leaves.sum() / a,
            by_both + by_b,
        ]
    )
    return float(logsumexp(terms, axis=0).sum()), gradient


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
        value, gradient = slopes(model, theta, history.x, t_x, T)
        hessian = jacobian(lambda at: slopes(model, at, history.x, t_x, T)[1], theta) if with_hessian else None
        return value, gradient, hessian

    shift = model.k * history.x.sum() * math.log(scale) + history.constant(model.k).sum()
    units = np.array([1.0, 1.0 / scale, 1.0, 1.0])
    return _maximise(objective, history.x.size, len(ORDER_PARAMETERS), units, float(shift))


def season(purchases: Purchases, cutoff: int, calendar: Calendar) -> tuple[Floats, float]:
    """Monthly factors from what was bought by the cut-off, and their spread; factors (12,), mean 1 over months seen.

    A factor is the month's repeat purchases over those that MBG/NBD expects of these customers, given what it knows
    of each. It is shrunken as if a Gamma of mean 1 and this spread stood behind the factors: (bought + c) / (expected
    + c), c = 1 / spread^2. The spread is what months differ by beyond the chance of counts. Months not seen keep 1.
    """
    history = History.of(purchases, cutoff, calendar)
    parameters = np.array(fit(BASELINE, history)["parameters"])
    r, alpha = parameters[:2]
    stays, leaves = softmax(log_terms(BASELINE, parameters, history.x, history.t_x, history.T), axis=0)
    rate_if_here = stays * (r + history.x) / (alpha + history.T)
    rate_if_gone = leaves * (r + history.x) / (alpha + history.t_x)

    seen = purchases.until(cutoff)
    passed = calendar.passed(seen.day)
    first, last = passed[~seen.is_repeat], passed[seen.is_last]
    waited = calendar.passed(cutoff) - first
    expected = rate_if_here @ waited + rate_if_gone @ (last - first)
    bought = np.bincount(month_of(seen.day[seen.is_repeat]), minlength=MONTHS)
    is_seen = waited.sum(axis=0) > 0
    excess = ((bought - expected) ** 2 - expected)[is_seen].sum() / (expected[is_seen] ** 2).sum()
    factors = NO_SEASON.copy()
    if excess > 0.0:
        factors[is_seen] = (bought[is_seen] + 1.0 / excess) / (expected[is_seen] + 1.0 / excess)
        factors[is_seen] /= factors[is_seen].mean()
    return factors, math.sqrt(max(excess, 0.0))


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
        tail = np.cumsum(np.exp(log_mass)[:, ::-1], axis=1)[:, ::-1]  # column i: P(more than i)
        total += weights[stage] * tail[:, np.arange(1, size + 1) * k - stage - 1] * stayed
    return total


@dataclass(frozen=True)
class Outcome:
    """One model on one split.

    Per customer: `path_score`, the logarithm of the density of the days of the hold-out's purchases given what was
    done by the cut-off; `count_score`, that of the probability of their number; purchases `predicted` and `actual`.
    `months` and `actual_months` are totals of each month of the hold-out.
    """

    model: Model
    fitted: dict
    factors: Floats
    spread: float
    path_score: Floats
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

    def beats(self, other: Outcome) -> bool:
        """Whether it predicts better, by a rule that was fixed before any figure was seen.

        The path is likelier by more than two standard errors and the counts are likelier, while the total's bias is
        not worse by more than half a point, nor the RMSE by more than half a per cent.
        """
        path, error = gain(self.path_score, other.path_score)
        return bool(
            self.fitted["fit_status"] == "ok"
            and path > 2.0 * error
            and self.count_score.sum() > other.count_score.sum()
            and abs(self.bias) <= abs(other.bias) + 0.5
            and self.rmse <= 1.005 * other.rmse
        )


def gain(score: Floats, other: Floats) -> tuple[float, float]:
    """How much likelier one model makes the hold-out than another, as a logarithm, and its standard error."""
    difference = score - other
    return float(difference.sum()), float(difference.std(ddof=1) * math.sqrt(difference.size))


def evaluate(model: Model, purchases: Purchases, cutoff: int, end: int) -> Outcome:
    """Fit a model to what customers did by the cut-off, and compare what follows with what they did by the end."""
    purchases = purchases.of_customers_by(cutoff).until(end)
    calendar = Calendar.of(int(purchases.day.min()), end)
    factors, spread = season(purchases, cutoff, calendar) if model.is_seasonal else (NO_SEASON, 0.0)
    history = History.of(purchases, cutoff, calendar, factors)
    fitted = fit(model, history)
    parameters = np.array(fitted["parameters"])
    score = log_likelihood(model, parameters, History.of(purchases, end, calendar, factors))
    score -= log_likelihood(model, parameters, history)

    last_days = (months_of(cutoff, end) + 1).astype("datetime64[D]").astype(np.int64) - 1
    days = np.minimum(last_days, end)
    horizons = calendar.clock(days, factors) - calendar.clock(cutoff, factors)
    chances = [at_least(model, parameters, history, weeks) for weeks in horizons]
    expected = [one.sum(axis=1) for one in chances]
    actual = purchases.counts(cutoff, end)
    # exactly as many as there were: at least as many, less at least one more
    bounds = np.pad(chances[-1], ((0, 0), (1, 1)))
    bounds[:, 0] = 1.0
    customer, count = np.arange(actual.size), np.minimum(actual, chances[-1].shape[1])
    chance = bounds[customer, count] - bounds[customer, count + 1]
    return Outcome(
        model=model,
        fitted=fitted,
        factors=factors,
        spread=spread,
        path_score=score,
        count_score=np.log(np.maximum(chance, 1e-15)),
        predicted=expected[-1],
        actual=actual,
        months=np.diff([one.sum() for one in expected], prepend=0.0),
        actual_months=np.diff([purchases.counts(cutoff, day).sum() for day in days], prepend=0),
    )


def months_of(cutoff: int, end: int) -> NDArray[np.datetime64]:
    """The months of the days after the cut-off, to the end."""
    return np.unique(np.arange(cutoff + 1, end + 1).astype("datetime64[D]").astype("datetime64[M]"))


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
    customers, purchases, after = base.actual.size, base.actual.sum(), f"{weeks:.1f} weeks to {split.end}"
    print(f"\n{split.name}: {customers:,} customers by {split.cutoff}, {purchases:,} purchases in {after}")
    print(
        f"  {'':<16}{'fit LL':>10}{'path':>10}{'+-':>6}{'counts':>10}{'+-':>6}{'predicted':>11}{'bias %':>8}"
        f"{'MAE':>8}{'RMSE':>9}{'Spearman':>9}{'months %':>9}  better"
    )
    for one in outcomes:
        path, path_error = gain(one.path_score, base.path_score)
        counts, counts_error = gain(one.count_score, base.count_score)
        print(
            f"  {one.model.name:<16}{one.fitted['log_likelihood']:>10,.1f}{path:>10,.1f}{path_error:>6.1f}"
            f"{counts:>10,.1f}{counts_error:>6.1f}{one.predicted.sum():>11,.1f}{one.bias:>8.2f}{one.mae:>8.4f}"
            f"{one.rmse:>9.4f}{one.spearman:>9.4f}{one.month_error:>9.1f}  {'yes' if one.beats(base) else ''}"
        )
    print("  Parameters, monthly factors from January to December (spread 0: no season was found)")
    for one in outcomes:
        named = zip(ORDER_PARAMETERS, one.fitted["parameters"], strict=True)
        text = ", ".join(f"{name} {value:.4g}" for name, value in named)
        if one.model.is_seasonal:
            text += f", spread {one.spread:.2f}: " + " ".join(f"{factor:.2f}" for factor in one.factors)
        status = one.fitted["fit_status"]
        print(f"    {one.model.name:<17}{text}{'' if status == 'ok' else f' ({status})'}")
    months = months_of(days_since_1970(split.cutoff), days_since_1970(split.end))
    print(f"  {'Purchases by month':<19}" + "".join(f"{month!s:>10}" for month in months))
    for name, counts in [("actual", base.actual_months), *((one.model.name, one.months) for one in outcomes)]:
        print(f"    {name:<17}" + "".join(f"{count:>10,.0f}" for count in counts))


def main() -> None:
    """Print a table a split, and which candidates win on how many data sets.

    `fit LL` is the log-likelihood up to the cut-off. `path` and `counts` say how much likelier than under MBG/NBD the
    hold-out is, as a logarithm with its standard error: the days of its purchases, and their number per customer.
    `months %` is the sum of the absolute errors of the months' totals, in per cent of all purchases.
    """
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
            print(f"  {name:<17}{len(where)} of 3{': ' + ', '.join(where) if where else ''}")


if __name__ == "__main__":
    typer.run(main)
