"""Layers are proposed by what explains later spend, with the tree's size rule, and written where nothing reads them."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.errors import StrataError
from orchestration.layering import NOBODY, Candidate, Sums, judge, kept_values, ranked, split
from orchestration.propose import choose_month_ends, lines_of, propose_layers, write_proposal
from orchestration.settings import Settings


def sums(*spend: float) -> Sums:
    return Sums(len(spend), sum(spend), sum(one * one for one in spend))


@pytest.mark.parametrize(
    ("customers", "kept"),
    [
        ({"a": 3, "b": 2, "c": 2}, {"a", "b", "c"}),  # nothing remains
        ({"a": 3, "b": 2, "c": 1}, {"a"}),  # a remainder of 1 is joined by the smallest
        ({"a": 3, "b": 2, "c": 1, "d": 1}, {"a", "b"}),  # one of 2 stands
        ({"a": 2, "b": 2, "c": 1}, {"b"}),  # of equals the first by name joins
        ({"a": 2, "c": 1}, None),  # one group left is no split
        ({"a": 1, "b": 1}, None),
        ({"a": 5}, None),
    ],
)
def test_values_are_kept_as_the_tree_keeps_them(customers: dict[str, int], kept: set[str] | None) -> None:
    # The same cases as in the unit tests of micro_bases, with a minimum of 2.
    assert kept_values(customers, 2) == kept


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 20), min_size=1, max_size=8), st.integers(1, 15))
def test_every_group_has_its_minimum_and_nobody_is_lost(customers: dict[str, int], minimum: int) -> None:
    groups = split({value: Sums(count, float(count), float(count)) for value, count in customers.items()}, minimum)
    assert sum(groups, NOBODY).customers == sum(customers.values())
    assert len(groups) == 1 or min(group.customers for group in groups) >= minimum


def test_a_layer_is_worth_what_it_saves_less_what_its_groups_cost() -> None:
    # Spends 0, 2 and 4, 6: means 1 and 5 against 3. Gain 4 * (3-1)^2 = 16; within groups 4 over 2 degrees of freedom.
    counts = {("2026-01-31", "A"): {"low": sums(0, 2), "high": sums(4, 6)}}
    candidate = judge("tier", counts, minimum=2, penalty=2)
    assert candidate.score == pytest.approx(16 - 2 * 1 * 4 / 2)
    # Predicted by the other one in the group each errs by 2: 16; by the mean of the other three by 4, 4/3, 4/3, 4.
    assert candidate.explained_variance == pytest.approx(1 - 16 / (2 * 16 + 2 * 16 / 9))
    assert candidate.groups == 2


def test_gains_of_snapshots_add_up_and_a_node_that_is_not_split_gains_nothing() -> None:
    counts = {
        ("2026-01-31", "A"): {"low": sums(0, 2), "high": sums(4, 6)},
        ("2026-02-28", "A"): {"low": sums(0, 2), "high": sums(4)},
    }
    candidate = judge("tier", counts, minimum=2, penalty=0)
    assert candidate.score == pytest.approx(16)
    assert candidate.groups == 3


def test_noise_is_not_worth_a_layer() -> None:
    counts = {("2026-01-31", "A"): {"x": sums(0, 1, 2, 3), "y": sums(0.1, 1.1, 2.1, 3.1)}}
    assert judge("noise", counts, minimum=2, penalty=1).score < 0


def test_equals_are_ranked_by_name() -> None:
    candidates = [Candidate("b", 1.0, 0.1, 2), Candidate("a", 1.0 + 1e-9, 0.1, 2), Candidate("c", 2.0, 0.2, 2)]
    assert [one.attribute for one in ranked(candidates)] == ["c", "a", "b"]


def test_the_latest_month_ends_with_half_a_year_are_chosen() -> None:
    complete = [(date(2025, month, 28), 184, True) for month in range(1, 7)]
    short = [(date(2025, 9, 30), 92, False), (date(2025, 11, 30), 31, False)]
    assert choose_month_ends(short + complete) == tuple(day for day, *_ in complete[2:])
    assert choose_month_ends(short) == (date(2025, 9, 30),)
    with pytest.raises(StrataError, match="two full months"):
        choose_month_ends(short[1:])


@pytest.fixture
def warehouse(tmp_path: Path) -> Settings:
    """A warehouse where in A the tier tells what customers spend later, in B the city, and a secret one everywhere."""
    settings = Settings.of("shop", home=tmp_path)
    settings.warehouse.parent.mkdir(parents=True)
    with duckdb.connect(str(settings.warehouse)) as db:
        db.execute(
            """
            create schema seeds;
            create schema micro_segments;
            create table seeds.attributes as
            select * from (values
                ('tier', false), ('city', false), ('noise', false), ('secret', true), ('tier_basis', false)
            ) as given (attribute, is_sensitive);
            create table seeds.micro_segment_layers as
            select * from (values ('*', 0, 'macro_segment', 20), ('*', 1, 'noise', 10), ('B', 1, 'noise', 5))
                as given (macro_segment, layer, attribute, min_customers);
            create table micro_segments.micro_spend_windows as
            select date '2025-06-30' as snapshot_date, 184 as window_days, true as is_complete;
            create table customers as
            select
                range as customer_id,
                case when range < 120 then 'A' else 'B' end as macro_segment,
                case when range % 2 = 0 then 'high' else 'low' end as tier,
                case when range % 3 = 0 then 'Rome' else 'Oslo' end as city,
                case when range % 5 = 0 then 'x' else 'y' end as noise
            from range(200);
            create table micro_segments.micro_attributes as
            select date '2025-06-30' as snapshot_date, *, tier || city as secret, 'inferred' as tier_basis
            from customers;
            create table micro_segments.micro_customer_snapshots as
            select date '2025-06-30' as snapshot_date, customer_id, macro_segment, noise as micro_segment_id
            from customers;
            create table micro_segments.micro_later_spend as
            select
                date '2025-06-30' as snapshot_date,
                customer_id,
                cast(
                    case when macro_segment = 'A' then if(tier = 'high', 4, 1) else if(city = 'Rome', 5, 2) end
                    + (customer_id * 7 % 11) / 10.0 as decimal(18, 6)
                ) as log_later_spend
            from customers
            """
        )
    return settings


def test_layers_are_proposed_for_each_macro_segment(warehouse: Settings) -> None:
    proposal = propose_layers(warehouse)
    assert proposal.attributes("A") == ["tier"]
    assert proposal.attributes("B") == ["city"]
    considered = {
        candidate.attribute for layers in proposal.layers.values() for one in layers for candidate in one.candidates
    }
    assert considered == {"tier", "city", "noise"}
    assert proposal.minimums == {"*": 10, "A": 10, "B": 5}
    assert proposal.layers["A"][0].candidates[0].explained_variance > 0.9 > 0.1 > proposal.active["A"]

    active = warehouse.home / "seeds.csv"
    before = sorted(path for path in warehouse.home.rglob("*") if path.is_file())
    seed, ranking = write_proposal(warehouse, proposal)
    assert not active.exists()
    assert sorted(path for path in warehouse.home.rglob("*") if path.is_file()) == sorted([*before, seed, ranking])
    with seed.open() as file:
        rows = list(csv.reader(file))
    assert rows[:2] == [["macro_segment", "layer", "attribute", "min_customers"], ["*", "0", "macro_segment", "20"]]
    assert ["A", "1", "tier", "10"] in rows and ["B", "1", "city", "5"] in rows
    with ranking.open() as file:
        best = [row for row in csv.DictReader(file) if row["rank"] == "1" and row["macro_segment"] == "A"]
    assert [(row["attribute"], row["is_taken"]) for row in best[:1]] == [("tier", "true")]
    assert any("proposed: tier; explains 0.9" in line for line in lines_of(proposal, seed, ranking))


def test_a_proposal_needs_a_warehouse(tmp_path: Path) -> None:
    with pytest.raises(StrataError, match="make refresh DATASET=shop"):
        propose_layers(Settings.of("shop", home=tmp_path))
