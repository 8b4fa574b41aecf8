"""What `make forget` says: before, what it would do; afterwards, where it has searched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from orchestration.forget import Plan
from orchestration.search import Place

SHOWN = 12


def print_plan(plan: Plan) -> None:
    """Who is meant, and what becomes of each file and table."""
    person = plan.person
    print("\nTo be forgotten")
    for name, values in (
        ("ids", person.users),
        ("devices", person.devices),
        ("contacts", person.contacts),
        ("in the marts", person.shown),
    ):
        if values:
            print(f"  {name:<14}{_some(values)}")
    for one, others in person.shared:
        has = "others have" if others > 1 else "other has"
        print(f"  {'stays':<14}{one}: {others:,} {has} it, too; its messages that name nobody stay with it")
    total: Counter[str] = sum(plan.files.values(), Counter())
    print(f"\nRaw messages in {len(plan.files):,} files: {_counted(total) or 'none'}")
    for file, counts in list(plan.files.items())[:SHOWN]:
        print(f"  {file}: {_counted(counts)}")
    if len(plan.files) > SHOWN:
        print(f"  and {len(plan.files) - SHOWN:,} more files")
    if total["made anonymous"]:
        print("  Orders stay as orders without a customer, so that revenue stays what it is.")
    tables = [place for place in plan.places if place.kind == "warehouse"]
    print(f"\nValues in {len(tables):,} tables of the warehouse, which is built anew")
    for place in tables:
        print(f"  {place.name}: {place.hits:,}")
    print(f"\nPublications to be replaced by a new one: {_some(plan.publications) or 'none'}")
    for source in plan.sources:
        print(f"Not touched: {source}. What is imported from there again will be kept out.")
    print()


def print_places(places: Sequence[Place]) -> None:
    """The places that were searched, and that nothing was found."""
    files: Counter[tuple[str, str]] = Counter()
    hits: Counter[tuple[str, str]] = Counter()
    for place in places:
        files[place.kind, place.group] += 1
        hits[place.kind, place.group] += place.hits
    width = max(len(group) for _, group in files)
    print(f"\nForgotten. {'Searched':<13}{'':<{width}}  files or tables  found")
    for (kind, group), count in files.items():
        print(f"           {kind:<13}{group:<{width}}  {count:>15,}  {hits[kind, group]:>5,}")
    print()


def _some(values: Sequence[str]) -> str:
    more = f" and {len(values) - SHOWN:,} more" if len(values) > SHOWN else ""
    return ", ".join(values[:SHOWN]) + more


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items(), reverse=True))
