"""What is planted in the demo shop, found again by its segments: groups of people, and what they like."""

from __future__ import annotations

import duckdb
import pytest
from sklearn.metrics import adjusted_rand_score

from orchestration.settings import PROJECT_DIR
from rehearsal import DEMO_SIZE, Rehearsal


@pytest.fixture(scope="module")
def found(demo: Rehearsal) -> duckdb.DuckDBPyConnection:
    """The published customers, beside what the script that makes the messages knows of them."""
    truth = duckdb.connect()
    truth.execute("set timezone = 'UTC'")
    truth.execute("set variable size = $1", [DEMO_SIZE])
    truth.execute("set variable until = null")
    truth.execute((PROJECT_DIR / "datasets" / "demo.sql").read_text(encoding="utf-8"))
    truth.execute(f"attach '{demo.settings.published / 'strata.duckdb'}' as published (read_only)")
    truth.execute(
        """
        create table found as
        select
            people.customer_group,
            lower(category_list.category) as favourite_category,
            customers.*
        from people
        inner join category_list on people.favourite_category_no = category_list.category_no
        inner join published.marts.customers as customers
            on user_id_of(people.customer_group, people.person_no) = customers.customer_id
        """
    )
    return truth


def agreement(db: duckdb.DuckDBPyConnection, planted: str, drawn: str, where: str = "true") -> tuple[float, int]:
    """The adjusted Rand index of two ways to group customers (1: the same, 0: as by chance), and of how many."""
    rows = db.execute(f"select {planted}, {drawn} from found where {where}").fetchall()
    return adjusted_rand_score([str(row[0]) for row in rows], [str(row[1]) for row in rows]), len(rows)


def test_companies_leads_and_consumers_are_told_apart(found: duckdb.DuckDBPyConnection) -> None:
    index, customers = agreement(
        found,
        "case customer_group when 4 then 'business' when 5 then 'lead' else 'consumer' end",
        "case when customer_type = 'b2b' then 'business' when lifecycle_stage = 'lead' then 'lead' else 'consumer' end",
        "is_buyer or customer_group = 5",
    )
    assert customers > 400
    assert index > 0.98


def test_companies_are_a_macro_segment(found: duckdb.DuckDBPyConnection) -> None:
    """Or stand with the others that are too small to be shown; nobody else is among them then."""
    index, _ = agreement(found, "customer_group = 4", "customer_type = 'b2b'")
    assert index > 0.98


def test_favourite_categories_are_found_from_what_people_do(found: duckdb.DuckDBPyConnection) -> None:
    """Eight categories: by net revenue alone, of those who bought several times; with what they look at or state."""
    bought, buyers = agreement(found, "favourite_category", "lower(top_category)", "orders >= 3")
    interested, _ = agreement(found, "favourite_category", "main_interest", "main_interest_basis <> 'unknown'")
    inferred, looked = agreement(found, "favourite_category", "main_interest", "main_interest_basis = 'inferred'")
    print(f"top_category {bought:.3f} of {buyers}, main_interest {interested:.3f}, inferred {inferred:.3f} of {looked}")
    assert buyers > 100
    assert looked > 30
    assert bought > 0.5
    assert interested > 0.5
    assert inferred > 0.5
