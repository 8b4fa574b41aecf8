"""The benchmark of lifetime value: what it simulates, that it compares like with like, and that it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks import ltv
from benchmarks.ltv_project import FIT, INPUT, SCORING
from benchmarks.measure import Run
from ltv_project import LtvProject
from orchestration.fit import ORDER_PARAMETERS, SPEND_PARAMETERS, fit_orders, fit_spend
from orchestration.settings import PROJECT_DIR

CUSTOMERS = 3_000


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory):
    """A few simulated customers, fitted and scored by the models."""
    with pytest.MonkeyPatch.context() as patch:
        project = LtvProject(tmp_path_factory.mktemp("bench"), patch)
        project.write(ltv.simulated_buyers(0, CUSTOMERS))
        project.dbt("run", f"{INPUT} {FIT} {SCORING}", [str(ltv.SNAPSHOT)])
        yield project


def test_simulated_customers_are_those_of_the_truth() -> None:
    buyers = ltv.simulated_buyers(0, 40_000)
    x, recency, age, spend = (
        buyers[name].to_numpy().astype(float) for name in ("frequency", "recency_days", "age_days", "repeat_spend")
    )
    ones = np.ones(x.size)
    orders, amounts = fit_orders(x, recency, age, ones, "mbg"), fit_spend(x, np.rint(spend * 100), ones)
    for fit, names in ((orders, ORDER_PARAMETERS), (amounts, SPEND_PARAMETERS)):
        assert fit.fit_status == "ok"
        for name, found, error in zip(names, fit.parameters, fit.standard_errors, strict=True):
            assert abs(found - ltv.TRUTH[name]) < 3 * error, name
    assert buyers.equals(ltv.simulated_buyers(0, 40_000))
    assert len(set(buyers["customer_id"].to_pylist())) == buyers.num_rows
    assert not buyers["age_days"].equals(ltv.simulated_buyers(40_000, 40_000)["age_days"])


def test_chunks_are_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ltv, "CHUNK", 700)
    ltv.simulate(tmp_path, 1_500)
    ids = pq.read_table(tmp_path / "int_customer_snapshots.parquet")["customer_id"].to_pylist()
    assert ids == [f"c{number:08}" for number in range(1_500)]


def test_every_customer_is_scored_the_same_both_ways(scored: LtvProject) -> None:
    ltv.score_per_row(scored.home)
    [row] = scored.query(
        """
        select
            count(*),
            max(abs(per_row.predicted_ltv_1095d - models.predicted_ltv_1095d)),
            max(abs(per_row.expected_orders_90d - models.expected_orders_90d)),
            max(abs(per_row.probability_alive - models.probability_alive)),
            max(abs(per_row.expected_spend - models.expected_spend))
        from scored_per_row as per_row
        inner join lifetime_value.ltv_customer_snapshots as models using (snapshot_date, customer_id)
        """
    )
    assert row[0] == CUSTOMERS
    # what is rounded may differ in its last digit
    assert [float(value) for value in row[1:]] == pytest.approx([0, 0, 0, 0], abs=0.0101)
    assert [float(value) for value in row[2:]] == pytest.approx([0, 0, 0], abs=1.01e-6)


def test_a_function_that_computes_something_else_is_refused(
    scored: LtvProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ltv, "POINTS", 2)
    with pytest.raises(ValueError, match="not the same"):
        ltv.score_per_row(scored.home)


def test_a_fit_that_is_less_likely_is_refused(scored: LtvProject) -> None:
    names = ", ".join([*ORDER_PARAMETERS, *SPEND_PARAMETERS])
    [fit] = scored.query(f"select {names} from lifetime_value.ltv_parameter_fits where family = 'mbg'")
    theirs = {"orders": list(fit[:4]), "spend": list(fit[4:])}
    ltv.require_same_fit(scored, theirs)
    for kind in theirs:
        with pytest.raises(ValueError, match=f"fit of {kind}"):
            ltv.require_same_fit(scored, theirs | {kind: [1.02 * value for value in theirs[kind]]})


def test_a_target_is_met_by_wall_and_cpu_time_both() -> None:
    def took(wall: float, cpu: float) -> ltv.Measured:
        said = f'{{"wall": {wall}, "cpu": {cpu}}}'
        return ltv.Measured.of([Run(wall + 1, cpu + 1, peak, said) for peak in (5.0, 7.0)])

    found = {
        1_000_000: {ltv.LIFETIMES: took(12, 12), ltv.STRATA_FIT: took(2, 3)},
        10_000_000: {ltv.STRATA_SCORING: took(2, 3), ltv.PER_ROW: took(5, 5)},
    }
    assert [line.rsplit(": ", 2)[1:] for line in ltv.verdicts(found)] == [
        ["6.00 wall, 4.00 CPU", "met"],
        ["0.40 wall, 0.60 CPU", "NOT MET"],
    ]
    assert found[1_000_000][ltv.STRATA_FIT].whole == (3, 4)
    assert found[1_000_000][ltv.STRATA_FIT].peak == 7
    assert all(line.endswith("not measured") for line in ltv.verdicts({3_000: found[1_000_000]}))


def test_the_benchmark_runs() -> None:
    pytest.importorskip("lifetimes", reason="the package that is compared with (dependency group datasets)")
    command = [sys.executable, "-m", "benchmarks.ltv", "--size", str(CUSTOMERS), "--runs", "1"]
    done = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    for name in (ltv.STRATA_FIT, ltv.LIFETIMES, ltv.LIFETIMES_GROUPED, ltv.STRATA_SCORING, ltv.PER_ROW):
        [figures] = [line[-5:] for line in lines if line[: len(name.split())] == name.split() and "over" not in line]
        assert all(float(figure) >= 0 for figure in figures)
    models = {line[0] for line in lines if line and line[0].startswith("ltv_")}
    assert models == {*FIT.split(), *SCORING.split()}
    assert len([line for line in lines if "/" in line]) == 3
