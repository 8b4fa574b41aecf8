"""The back-test: against published figures on CDNOW, against SciPy, and whose deeds count for whom."""

from __future__ import annotations

import math
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from hostile import Message, as_line, iso
from ltv_project import LtvProject, cdnow_purchase_days, customer_snapshots, outcomes
from rehearsal import Rehearsal

#: The published hold-out is 39 weeks; intervals need 365 days by that name.
WEEKS_OF_THE_PAPER = {"[90, 180, 365, 1095]": "[91, 273, 365]"}
HORIZONS = (91, 273, 365)
EVERYTHING = "int_customer_snapshots int_snapshot_dates int_outcomes macro_customer_snapshots micro_customer_snapshots "
EVERYTHING += "lifetime_value micro_segments ltv_backtest"
MONTH_ENDS = ["1997-03-31", "1997-04-30", "1997-05-31", "1997-06-30", "1997-07-31", "1997-08-31", "1997-09-30"]
SNAPSHOTS = [*MONTH_ENDS, "1998-06-30"]


@pytest.fixture(scope="module")
def cdnow(tmp_path_factory: pytest.TempPathFactory) -> LtvProject:
    """CDNOW at seven month-ends, scored by BG/NBD and back-tested at the end of the data."""
    with pytest.MonkeyPatch.context() as patch:
        project = LtvProject(tmp_path_factory.mktemp("cdnow"), patch, WEEKS_OF_THE_PAPER)
        days = cdnow_purchase_days()
        project.write(customer_snapshots(days, SNAPSHOTS))
        project.write_outcomes(outcomes(days, SNAPSHOTS, HORIZONS))
        project.dbt("run", EVERYTHING, SNAPSHOTS, ltv_family="bg", as_of="1998-06-30")
    return project


def test_cdnow_is_foretold_as_published(cdnow: LtvProject) -> None:
    """Calibrated to 1997-09-30, held out to 1998-06-30: the figures that the formulas give in SciPy."""
    rows = cdnow.query(
        """
        select measure, buyers, predicted, actual, mean_absolute_error, root_mean_squared_error, spearman
        from quality.ltv_backtest
        where snapshot_date = '1997-09-30' and horizon_days = 273 and dimension = 'all' order by measure desc
        """
    )
    orders, revenue = [[float(value) for value in row[1:]] for row in rows]
    assert orders == pytest.approx([2357, 1653.41, 1882, 0.7855, 1.6080, 0.4493], rel=1e-4)
    assert revenue[1] == pytest.approx(59_931.63, abs=0.02)
    assert revenue[2] == pytest.approx(70_976.39)


def test_only_horizons_that_have_ended_are_compared(cdnow: LtvProject) -> None:
    found = cdnow.query("select distinct snapshot_date::varchar, horizon_days from quality.ltv_backtest order by all")
    ended = [(day, horizon) for day in MONTH_ENDS for horizon in HORIZONS if day <= "1997-06-30" or horizon < 365]
    assert found == ended


def test_measures_agree_with_scipy(cdnow: LtvProject) -> None:
    for measure, predicted, actual in (
        ("orders", "expected_orders", "actual_orders"), ("net_revenue", "expected_net_revenue", "actual_net_revenue"),
    ):  # fmt: skip
        for dimension, value, condition in (
            ("all", "all", "true"), ("micro_segment", "sa", "micro_segment_id = 'sa'"),
            ("cohort_month", "1997-02-01", "cohort_month = '1997-02-01'"),
        ):  # fmt: skip
            pairs = np.array(
                cdnow.query(
                    f"""
                    select {predicted}::double, {actual}::double, is_in_interval
                    from micro_segments.micro_customer_outcomes
                    where snapshot_date = '1997-06-30' and horizon_days = 273 and {condition}
                    """
                ),
                dtype=float,
            )
            [row] = cdnow.query(
                f"""
                select
                    buyers, predicted, actual, bias_rate, mean_absolute_error, root_mean_squared_error, spearman,
                    normalised_gini, buyer_coverage_rate
                from quality.ltv_backtest
                where
                    snapshot_date = '1997-06-30' and horizon_days = 273 and measure = '{measure}'
                    and dimension = '{dimension}' and dimension_value = '{value}'
                """
            )
            foretold, came, covered = pairs.T
            error = foretold - came

            def gini(by: np.ndarray, came: np.ndarray = came) -> float:
                ranks = rankdata(-by)
                return float((came * (len(came) + 1 - 2 * ranks)).sum())

            expected = [
                len(came), foretold.sum(), came.sum(), error.sum() / came.sum(), abs(error).mean(),
                math.sqrt((error**2).mean()), spearmanr(foretold, came).statistic, gini(foretold) / gini(came),
            ]  # fmt: skip
            assert [float(number) for number in row[:8]] == pytest.approx(expected, rel=2e-5, abs=0.006)
            assert row[8] is None if measure == "orders" else row[8] == pytest.approx(covered.mean(), abs=1e-6)


def test_segments_deciles_and_cohorts_add_up_to_everybody(cdnow: LtvProject) -> None:
    rows = cdnow.query(
        """
        select dimension, sum(buyers), sum(actual), count(*) from quality.ltv_backtest
        where snapshot_date = '1997-09-30' and horizon_days = 273 and measure = 'orders' group by all order by all
        """
    )
    assert [row[1:3] for row in rows] == [(2357, 1882)] * 5
    assert {row[0]: row[3] for row in rows} == {
        "all": 1, "cohort_month": 3, "decile": 10, "macro_segment": 1, "micro_segment": 16,
    }  # fmt: skip


def test_intervals_are_widened_by_what_had_been_seen_and_not_before(cdnow: LtvProject) -> None:
    """By 1997-06-30 one back-test of 91 days had ended, by 1997-09-30 four."""
    errors = cdnow.query(
        """
        select snapshot_date::varchar, horizon_days, evidence_horizon_days <= horizon_days, backtests
        from micro_segments.micro_model_errors
        where level = 'all' and snapshot_date in ('1997-06-30', '1997-09-30') order by all
        """
    )
    assert errors == [
        ("1997-06-30", 91, True, 1), ("1997-06-30", 273, True, 1), ("1997-06-30", 365, True, 1),
        ("1997-09-30", 91, True, 4), ("1997-09-30", 273, True, 4), ("1997-09-30", 365, True, 4),
    ]  # fmt: skip
    at_the_end = cdnow.query(
        """
        select model_error from micro_segments.micro_model_errors
        where level = 'all' and snapshot_date = '1998-06-30' order by horizon_days
        """
    )
    assert at_the_end == sorted(at_the_end) and at_the_end[0] < at_the_end[-1]  # it grows with the horizon
    assert cdnow.query("select min(snapshot_date)::varchar from micro_segments.micro_model_errors") == [("1997-06-30",)]
    widened = cdnow.query(
        """
        select distinct snapshot_date::varchar from quality.ltv_backtest where is_interval_widened order by all
        """
    )
    assert [day for (day,) in widened] == MONTH_ENDS[3:]


def test_the_published_hold_out_lies_in_the_widened_interval_alone(cdnow: LtvProject) -> None:
    """The model is 16 % low on it: outside what chance and uncertain parameters explain."""
    [(predicted, error, actual, widened)] = cdnow.query(
        """
        select
            outcomes.expected_net_revenue::double, outcomes.standard_error::double,
            outcomes.actual_net_revenue::double, is_in_interval
        from micro_segments.micro_segment_outcomes as outcomes
        inner join quality.ltv_backtest as backtest
            on
                backtest.snapshot_date = outcomes.snapshot_date and backtest.horizon_days = outcomes.horizon_days
                and backtest.dimension = 'all' and backtest.measure = 'net_revenue'
        where outcomes.snapshot_date = '1997-09-30' and outcomes.horizon_days = 273 and outcomes.level = 'all'
        """
    )
    assert actual > predicted + 1.96 * error
    assert widened is True


def message_at(number: int, kind: str, at: datetime, received_at: datetime | None = None, **more: object) -> Message:
    """A message of that UTC instant; `kind` is a type, or the name of an event."""
    is_track = kind[0].isupper()
    what = {"type": "track", "event": kind} if is_track else {"type": kind}
    return {
        "message_id": f"m{number}", "timestamp": iso(at), "received_at": iso(received_at or at), **what, **more,
    }  # fmt: skip


def ordered(number: int, day: date, received: date | None = None, **fields: object) -> Message:
    """An order of 10.00 at noon, received the same day unless said otherwise."""
    amount = fields.pop("amount", 10)
    return message_at(
        number, "Order Completed", datetime(day.year, day.month, day.day, 12),
        received_at=datetime(received.year, received.month, received.day, 12) if received else None,
        properties={"order_id": f"o{number}", "currency": "USD", "subtotal": amount, "total": amount}, **fields,
    )  # fmt: skip


def test_deeds_count_for_who_the_customer_was_and_as_posted_by_the_end(home: Path) -> None:
    """Month-end 2025-01-31, 90 days: up to 2025-05-01."""
    books = Rehearsal(home, "outcomes")
    messages = [
        # ann: one purchase on the last day counts, one after it does not, nor one posted later
        ordered(1, date(2025, 1, 10), user_id="ann"),
        ordered(2, date(2025, 5, 1), user_id="ann"),
        ordered(3, date(2025, 5, 2), user_id="ann"),
        ordered(4, date(2025, 4, 30), received=date(2025, 5, 2), user_id="ann"),
        # a guest of January who gets a name in March: what she does by name counts for the guest
        ordered(5, date(2025, 1, 12), anonymous_id="guest"),
        message_at(6, "identify", datetime(2025, 3, 1, 12), anonymous_id="guest", user_id="gwen"),
        ordered(7, date(2025, 3, 5), user_id="gwen", amount=30),
        # nobody knew carl in January
        ordered(8, date(2025, 3, 6), user_id="carl"),
        # ben is renamed; two orders on one day are one purchase, and the refund leaves 5.00 of them
        ordered(9, date(2025, 1, 20), user_id="ben"),
        message_at(10, "alias", datetime(2025, 2, 10, 12), previous_id="ben", user_id="benjamin"),
        ordered(11, date(2025, 4, 1), user_id="benjamin"),
        ordered(12, date(2025, 4, 1), user_id="benjamin"),
        message_at(13, "Order Refunded", datetime(2025, 4, 20, 12), user_id="benjamin",
                   properties={"order_id": "o11", "currency": "USD", "total": 10}),
        message_at(14, "Order Refunded", datetime(2025, 4, 20, 13), user_id="benjamin",
                   properties={"order_id": "o12", "currency": "USD", "total": 5}),
        # refunded after the end: still there in the outcome
        message_at(15, "Order Refunded", datetime(2025, 5, 3, 12), user_id="gwen",
                   properties={"order_id": "o7", "currency": "USD", "total": 30}),
    ]  # fmt: skip
    path = books.raw / "events" / "all.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(as_line(one, camel=True) + "\n" for one in messages))
    books.refresh(datetime(2025, 5, 6))
    found = books.query(
        """
        select customer_id, purchase_days, net_revenue::varchar from intermediate.int_outcomes
        where snapshot_date = '2025-01-31' and horizon_days = 90 order by customer_id
        """
    )
    assert found == [("ann", 1, "10.00"), ("ben", 1, "5.00"), ("guest", 1, "30.00")]
