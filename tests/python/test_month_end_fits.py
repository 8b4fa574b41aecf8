"""The fits of all scopes: who is fitted, and whose own parameters are found to foretell better."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pytest

from orchestration.fit import fit_orders, fit_spend
from orchestration.month_end_fits import ORDER_COLUMNS, SPEND_COLUMNS, month_end_fits, schema

CUTOFF = dt.date(2001, 12, 31)
SPLIT_DAYS = 184
#: r, alpha, a, b, and the mean order
SLOW, FAST = (0.8, 20.0, 1.0, 2.5, 20.0), (2.0, 6.0, 0.6, 4.0, 80.0)


def histories(parameters: tuple[float, ...], size: int, seed: int) -> dict[str, np.ndarray]:
    """Customers of an MBG/NBD with gamma spend, as seen at the cut-off and at the split, SPLIT_DAYS before."""
    r, alpha, a, b, mean = parameters
    random = np.random.default_rng(seed)
    age = random.integers(SPLIT_DAYS + 30, 700, size)
    rate, leave = random.gamma(r, 1 / alpha, size), random.beta(a, b, size)
    level = mean * 3.0 / random.gamma(4.0, 1.0, size)  # q = 4
    found = {name: np.zeros((2, size), dtype=np.int64) for name in ("frequency", "recency_days", "repeat_spend_cents")}
    for i in range(size):
        day = 0.0
        while random.random() > leave[i]:
            day += max(1.0, round(random.exponential(7.0 / rate[i])))
            if day > age[i]:
                break
            cents = max(1, round(100 * random.gamma(5.0, level[i] / 5.0)))
            for when, limit in enumerate((age[i] - SPLIT_DAYS, age[i])):
                if day <= limit:
                    found["frequency"][when, i] += 1
                    found["recency_days"][when, i] = day
                    found["repeat_spend_cents"][when, i] += cents
    return found | {"age_days": np.stack([age - SPLIT_DAYS, age])}


def rows(segments: dict[str, tuple[dict, dict]]) -> tuple[pa.Table, pa.Table]:
    """Statistics tables of these macro-segments: histories as at the split, and as at the cut-off."""
    columns: dict[str, list] = {name: [] for name in ("cutoff_date", "role", "macro_segment")}
    values: dict[str, list[np.ndarray]] = {name: [] for name in (*ORDER_COLUMNS[:3], "repeat_spend_cents")}
    for segment, (then, now) in segments.items():
        for role, source, when in (("fit", now, 1), ("before", then, 0), ("after", now, 1)):
            size = source["frequency"].shape[1]
            columns["cutoff_date"] += [CUTOFF] * size
            columns["role"] += [role] * size
            columns["macro_segment"] += [segment] * size
            for name, parts in values.items():
                parts.append(source[name][when])
    table = pa.table(columns | {name: np.concatenate(parts) for name, parts in values.items()})
    table = table.append_column("customers", pa.array(np.ones(table.num_rows, dtype=np.int64)))
    has_spend = table.filter(pa.compute.greater(table["repeat_spend_cents"], 0))
    keys = ["cutoff_date", "role", "macro_segment"]
    return table.select([*keys, *ORDER_COLUMNS]), has_spend.select([*keys, *SPEND_COLUMNS])


def fits_of(segments: dict[str, tuple[dict, dict]]) -> dict[tuple[str | None, str], dict]:
    return {(row["macro_segment"], row["family"]): row for row in month_end_fits(*rows(segments)).to_pylist()}


@pytest.fixture(scope="module")
def slow() -> dict[str, np.ndarray]:
    return histories(SLOW, 1_500, 1)


@pytest.fixture(scope="module")
def fast() -> dict[str, np.ndarray]:
    return histories(FAST, 1_500, 2)


def test_each_scope_is_fitted_on_its_own_customers(slow: dict, fast: dict) -> None:
    found = fits_of({"slow": (slow, slow), "fast": (fast, fast)})
    assert set(found) == {(segment, family) for segment in (None, "slow", "fast") for family in ("bg", "mbg")}
    everybody = {name: np.concatenate([slow[name][1], fast[name][1]]) for name in slow}
    for segment, customers in ((None, everybody), ("slow", {name: slow[name][1] for name in slow})):
        ones = np.ones_like(customers["frequency"])
        columns = [customers[name] for name in ORDER_COLUMNS[:3]]
        row = found[segment, "mbg"]
        assert tuple(row[name] for name in ("r", "alpha", "a", "b")) == fit_orders(*columns, ones, "mbg").parameters
        spend = fit_spend(customers["frequency"], customers["repeat_spend_cents"], ones)
        assert tuple(row[name] for name in ("p", "q", "gamma")) == spend.parameters
    assert found[None, "mbg"]["scope"] == "pooled"
    assert found["slow", "mbg"]["scope"] == "macro_segment = slow"


def test_segments_that_differ_foretell_better_by_themselves(slow: dict, fast: dict) -> None:
    found = fits_of({"slow": (slow, slow), "fast": (fast, fast)})
    assert found[None, "mbg"]["split_gain"] is None
    assert found["slow", "mbg"]["split_gain"] > 10
    assert found["fast", "mbg"]["split_gain"] > 10


def test_a_segment_that_changed_its_ways_is_foretold_better_by_everybody(slow: dict, fast: dict) -> None:
    """Slow before the split, and fast from then on, like all others."""
    # as it was before, and with what the fast did since
    after = {name: values.copy() for name, values in slow.items()}
    for name in ("frequency", "repeat_spend_cents"):
        after[name][1] = slow[name][0] + fast[name][1] - fast[name][0]
    has_more = after["frequency"][1] > slow["frequency"][0]
    after["age_days"][1] = slow["age_days"][0] + SPLIT_DAYS
    since = np.clip(fast["recency_days"][1] - fast["age_days"][0], 1, SPLIT_DAYS)
    after["recency_days"][1] = np.where(has_more, slow["age_days"][0] + since, slow["recency_days"][0])
    found = fits_of({"turned": (slow, after), "fast": (fast, fast)})
    assert found["turned", "mbg"]["fit_status"] == "ok"
    assert found["turned", "mbg"]["split_gain"] < -10


def test_a_segment_without_a_usable_fit_is_not_tried(slow: dict) -> None:
    tiny = {name: values[:, :20] for name, values in slow.items()}
    found = fits_of({"slow": (slow, slow), "tiny": (tiny, tiny)})
    assert "repeat buyers" in found["tiny", "mbg"]["fit_status"]
    assert found["tiny", "mbg"]["split_gain"] is None


def test_one_segment_that_holds_everybody_is_the_pooled_scope(slow: dict) -> None:
    assert {segment for segment, _ in fits_of({"all": (slow, slow)})} == {None}


def test_the_order_of_rows_changes_nothing(slow: dict, fast: dict) -> None:
    orders, spend = rows({"slow": (slow, slow), "fast": (fast, fast)})
    random = np.random.default_rng(3)
    shuffled = month_end_fits(
        orders.take(pa.array(random.permutation(orders.num_rows))),
        spend.take(pa.array(random.permutation(spend.num_rows))),
    )
    assert shuffled.equals(month_end_fits(orders, spend))


def test_nobody_gives_an_empty_table() -> None:
    orders, spend = rows(
        {"none": ({name: np.zeros((2, 0), int) for name in (*ORDER_COLUMNS[:3], "repeat_spend_cents")},) * 2}
    )
    found = month_end_fits(orders, spend)
    assert found.num_rows == 0
    assert found.schema == schema()
