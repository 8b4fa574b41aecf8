"""Every month-end's fits: the one pure fit function of orchestration/fit.py, called on the sufficient statistics."""

import numpy as np
import pyarrow as pa

from orchestration.fit import FAMILIES, ORDER_PARAMETERS, SPEND_PARAMETERS, OrderFit, SpendFit, fit_orders, fit_spend

Columns = dict[str, np.ndarray]


def model(dbt, session):
    """One row per scope, cut-off and family, for the cut-offs that this run builds."""
    orders = columns_of(dbt.ref("ltv_sufficient_statistics"))
    spend = columns_of(dbt.ref("ltv_spend_statistics"))
    rows = []
    for scope, cutoff_date in sorted(set(zip(orders["scope"], orders["cutoff_date"], strict=True))):
        order_rows = rows_of(orders, scope, cutoff_date)
        spend_rows = rows_of(spend, scope, cutoff_date)
        spend_fit = fit_spend(spend_rows["frequency"], spend_rows["repeat_spend_cents"], spend_rows["customers"])
        for family in FAMILIES:
            order_fit = fit_orders(
                order_rows["frequency"],
                order_rows["recency_days"],
                order_rows["age_days"],
                order_rows["customers"],
                family,
            )
            rows.append(record(scope, cutoff_date, order_fit, spend_fit))
    return pa.Table.from_pylist(rows, schema=schema())


def columns_of(relation) -> Columns:
    """A DuckDB relation as NumPy columns."""
    table = relation.to_arrow_table()
    return {name: table.column(name).to_numpy() for name in table.column_names}


def rows_of(columns: Columns, scope: str, cutoff_date: np.datetime64) -> Columns:
    """The rows of one fit."""
    is_wanted = (columns["scope"] == scope) & (columns["cutoff_date"] == cutoff_date)
    return {name: values[is_wanted] for name, values in columns.items()}


def schema() -> pa.Schema:
    """The table's columns, spelt out so that a table without rows, or with nulls only, has the same types."""
    fields = [("scope", pa.string()), ("cutoff_date", pa.date32()), ("family", pa.string())]
    for parameters in (ORDER_PARAMETERS, SPEND_PARAMETERS):
        fields += [(name, pa.float64()) for name in parameters]
        fields += [(f"se_{name}", pa.float64()) for name in parameters]
        fields += [(name, pa.float64()) for name in triangle("cov", parameters)]
        fields += [(name, pa.float64()) for name in triangle("step", parameters)]
    fields += [(name, pa.float64()) for name in ("log_likelihood", "spend_log_likelihood")]
    counts = ("customers", "repeat_buyers", "spend_repeat_buyers", "frequency_cap", "customers_set_aside")
    fields += [(name, pa.int64()) for name in counts]
    fields += [("fit_status", pa.string()), ("spend_fit_status", pa.string())]
    return pa.schema(fields)


def triangle(prefix: str, parameters: tuple[str, ...]) -> list[str]:
    """Names of a lower triangle, row by row: cov_r_r, cov_alpha_r, cov_alpha_alpha, ..."""
    return [f"{prefix}_{row}_{column}" for i, row in enumerate(parameters) for column in parameters[: i + 1]]


def record(scope: str, cutoff_date: np.datetime64, orders: OrderFit, spend: SpendFit) -> dict:
    """One fit, flat. `step` is the Cholesky factor of `cov`: each column is a step of one standard error."""
    row = {
        "scope": scope,
        "cutoff_date": cutoff_date.astype("datetime64[D]").item(),
        "family": orders.family,
        "log_likelihood": orders.log_likelihood,
        "spend_log_likelihood": spend.log_likelihood,
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
            row |= dict(zip(triangle("cov", parameters), covariance[lower].tolist(), strict=True))
            steps = np.linalg.cholesky(covariance)
            row |= dict(zip(triangle("step", parameters), steps[lower].tolist(), strict=True))
    return row
