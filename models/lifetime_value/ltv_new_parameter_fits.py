"""Every month-end's fits: the one pure fit function, called on the sufficient statistics."""

from orchestration.month_end_fits import month_end_fits


def model(dbt, session):
    """One row per scope, cut-off and family, for the cut-offs that this run builds."""
    return month_end_fits(
        dbt.ref("ltv_sufficient_statistics").to_arrow_table(), dbt.ref("ltv_spend_statistics").to_arrow_table()
    )
