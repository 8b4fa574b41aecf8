"""The fits of every month-end as one table: pooled and per macro-segment, with what each foretold on held-out time.

Knows Arrow and NumPy only: any engine that can group and count can call it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from orchestration.fit import (
    FAMILIES,
    ORDER_PARAMETERS,
    SPEND_PARAMETERS,
    OrderFit,
    SpendFit,
    fit_orders,
    fit_spend,
    order_log_likelihood,
    spend_log_likelihood,
)

ORDER_COLUMNS = ("frequency", "recency_days", "age_days", "customers")
SPEND_COLUMNS = ("frequency", "repeat_spend_cents", "customers")

Columns = dict[str, np.ndarray]
#: The rows of one scope and cut-off by role: `fit` is what is fitted. `before` and `after` are those customers who were
#: there at the split too, as they were then and as they are at the cut-off.
Rows = dict[str, list[np.ndarray]]


def month_end_fits(orders: pa.Table, spend: pa.Table) -> pa.Table:
    """One row per cut-off, scope and family, from the sufficient statistics of the purchase and the spend model.

    `orders`: cutoff_date, role (fit, before, after), macro_segment, frequency, recency_days, age_days, customers.
    `spend`: the same with repeat_spend_cents instead of the days. Scopes are `pooled` (everybody) and, where there are
    several, each macro-segment. `split_gain` is by how much the log-likelihood of what came after the split, orders and
    spend together, is higher under the macro-segment's own parameters of then than under the pooled ones of then; null
    for pooled fits, and where either has no usable fit then or the own fit is flagged now.
    """
    found: list[dict[str, Any]] = []
    by_scope = dict(_scopes(orders, ORDER_COLUMNS))
    spend_by_scope = dict(_scopes(spend, SPEND_COLUMNS))
    for cutoff_date in sorted({cutoff for cutoff, _ in by_scope}):
        earlier: dict[str, tuple[OrderFit, SpendFit]] = {}
        segments = {name for cutoff, name in by_scope if cutoff == cutoff_date}
        if len(segments) == 2:  # a macro-segment that holds everybody is the pooled scope
            segments = {None}
        for segment in sorted(segments, key=lambda name: (name is not None, name)):
            rows = by_scope[cutoff_date, segment]
            spend_rows = spend_by_scope.get((cutoff_date, segment), {})
            spend_fit = fit_spend(*_of(spend_rows, "fit", SPEND_COLUMNS))
            for family in FAMILIES:
                order_fit = fit_orders(*_of(rows, "fit", ORDER_COLUMNS), family)
                gain = None
                if segment is None:
                    earlier[family] = _fit_before(rows, spend_rows, family)
                elif order_fit.fit_status == spend_fit.fit_status == "ok":
                    gain = _split_gain(rows, spend_rows, family, earlier[family])
                found.append(_record(cutoff_date, segment, order_fit, spend_fit, gain))
    return pa.Table.from_pylist(found, schema=schema())


def _scopes(table: pa.Table, names: tuple[str, ...]) -> Iterator[tuple[tuple[date, str | None], Rows]]:
    """The rows of each cut-off and macro-segment, and of everybody (None), by role."""
    columns = [table.column(name).to_numpy() for name in names]
    codes, values = {}, {}
    for key in ("cutoff_date", "macro_segment", "role"):
        encoded = table.column(key).combine_chunks().dictionary_encode()
        codes[key], values[key] = encoded.indices.to_numpy(), encoded.dictionary.to_pylist()
    for cutoff, cutoff_date in enumerate(values["cutoff_date"]):
        for segment, name in [(None, None), *enumerate(values["macro_segment"])]:
            is_here = codes["cutoff_date"] == cutoff
            if segment is not None:
                is_here &= codes["macro_segment"] == segment
            if is_here.any():
                masks = {role: is_here & (codes["role"] == code) for code, role in enumerate(values["role"])}
                yield (cutoff_date, name), {role: [c[mask] for c in columns] for role, mask in masks.items()}


def _of(rows: Rows, role: str, names: tuple[str, ...]) -> list[np.ndarray]:
    return rows.get(role) or [np.zeros(0, dtype=np.int64)] * len(names)


def _fit_before(rows: Rows, spend_rows: Rows, family: str) -> tuple[OrderFit, SpendFit]:
    """What could have been fitted at the split."""
    return (
        fit_orders(*_of(rows, "before", ORDER_COLUMNS), family),
        fit_spend(*_of(spend_rows, "before", SPEND_COLUMNS)),
    )


def _split_gain(rows: Rows, spend_rows: Rows, family: str, pooled: tuple[OrderFit, SpendFit]) -> float | None:
    """How much better own parameters foretold the time after the split; None where one of the four fits is flagged."""
    own = _fit_before(rows, spend_rows, family)
    if any(fit.fit_status != "ok" for fit in (*own, *pooled)):
        return None

    def foretold(fits: tuple[OrderFit, SpendFit], role: str) -> float:
        orders = order_log_likelihood(*_of(rows, role, ORDER_COLUMNS), family, fits[0].parameters or ())
        return orders + spend_log_likelihood(*_of(spend_rows, role, SPEND_COLUMNS), fits[1].parameters or ())

    return (foretold(own, "after") - foretold(own, "before")) - (foretold(pooled, "after") - foretold(pooled, "before"))


def schema() -> pa.Schema:
    """The table's columns, spelt out so that a table without rows, or with nulls only, has the same types."""
    fields = [("scope", pa.string()), ("macro_segment", pa.string()), ("cutoff_date", pa.date32())]
    fields += [("family", pa.string())]
    for parameters in (ORDER_PARAMETERS, SPEND_PARAMETERS):
        fields += [(name, pa.float64()) for name in parameters]
        fields += [(f"se_{name}", pa.float64()) for name in parameters]
        fields += [(name, pa.float64()) for name in _triangle("cov", parameters)]
        fields += [(name, pa.float64()) for name in _triangle("step", parameters)]
    fields += [(name, pa.float64()) for name in ("log_likelihood", "spend_log_likelihood", "split_gain")]
    counts = ("customers", "repeat_buyers", "spend_repeat_buyers", "frequency_cap", "customers_set_aside")
    fields += [(name, pa.int64()) for name in counts]
    fields += [("fit_status", pa.string()), ("spend_fit_status", pa.string())]
    return pa.schema(fields)


def _triangle(prefix: str, parameters: tuple[str, ...]) -> list[str]:
    """Names of a lower triangle, row by row: cov_r_r, cov_alpha_r, cov_alpha_alpha, ..."""
    return [f"{prefix}_{row}_{column}" for i, row in enumerate(parameters) for column in parameters[: i + 1]]


def _record(
    cutoff_date: date, segment: str | None, orders: OrderFit, spend: SpendFit, split_gain: float | None
) -> dict[str, Any]:
    """One fit, flat. `step` is the Cholesky factor of `cov`: each column is a step of one standard error."""
    row = {
        "scope": "pooled" if segment is None else f"macro_segment = {segment}",
        "macro_segment": segment,
        "cutoff_date": cutoff_date,
        "family": orders.family,
        "log_likelihood": orders.log_likelihood,
        "spend_log_likelihood": spend.log_likelihood,
        "split_gain": split_gain,
        "customers": orders.customers,
        "repeat_buyers": orders.repeat_buyers,
        "spend_repeat_buyers": spend.repeat_buyers,
        "frequency_cap": orders.frequency_cap,
        "customers_set_aside": orders.customers_set_aside,
        "fit_status": orders.fit_status,
        "spend_fit_status": spend.fit_status,
    }
    for fit, parameters in ((orders, ORDER_PARAMETERS), (spend, SPEND_PARAMETERS)):
        if fit.parameters is not None:
            row |= dict(zip(parameters, fit.parameters, strict=True))
        if fit.covariance is not None:
            covariance = np.array(fit.covariance)
            lower = np.tril_indices(len(parameters))
            row |= dict(zip([f"se_{name}" for name in parameters], fit.standard_errors, strict=True))
            row |= dict(zip(_triangle("cov", parameters), covariance[lower].tolist(), strict=True))
            steps = np.linalg.cholesky(covariance)
            row |= dict(zip(_triangle("step", parameters), steps[lower].tolist(), strict=True))
    return row
