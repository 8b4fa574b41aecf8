"""Which attributes make good layers: the size rule, and how much of the differences in later spend a split explains.

Everything here is a pure function of counts and sums by node and value; propose.py fetches them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

Node = tuple[str, str]
"""A snapshot, and a path in its tree."""


@dataclass(frozen=True)
class Sums:
    """Customers, and the sum and the sum of squares of their log later spend."""

    customers: int
    total: float
    squares: float

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.customers + other.customers, self.total + other.total, self.squares + other.squares)

    @property
    def explained(self) -> float:
        """S squared / n: what their mean explains."""
        return self.total**2 / self.customers

    @property
    def leave_one_out_error(self) -> float:
        """Squared errors when each is predicted by the mean of the others; nobody is predicted by nobody."""
        if self.customers < 2:
            return 0.0
        return (self.customers / (self.customers - 1)) ** 2 * max(self.squares - self.explained, 0.0)


NOBODY = Sums(0, 0.0, 0.0)
Counts = Mapping[Node, Mapping[str, Sums]]
"""Node -> value of one attribute -> the customers there who have it."""


@dataclass(frozen=True)
class Candidate:
    """What the next layer would be worth by one attribute."""

    attribute: str
    score: float
    """Squared error saved, less the penalty; a layer is worth having above 0."""
    explained_variance: float
    """R squared of leave-one-out predictions by the groups that there would be then."""
    groups: int
    """How many these are, all snapshots together."""


def kept_values(customers: Mapping[str, int], minimum: int) -> frozenset[str] | None:
    """The values that become children by the size rule (SQL: split_layer, without a past); None without a split.

    All other customers stay together; where they are too few, the smallest large value joins them.
    """
    large = {value for value, count in customers.items() if count >= minimum}
    rest = sum(count for value, count in customers.items() if value not in large)
    if large and 0 < rest < minimum:
        joins = min(large, key=lambda value: (customers[value], value))
        large.remove(joins)
        rest += customers[joins]
    return frozenset(large) if len(large) + (rest > 0) >= 2 else None


def split(values: Mapping[str, Sums], minimum: int) -> list[Sums]:
    """The groups that the values of one node fall into; one group where the node isn't split."""
    kept = kept_values({value: sums.customers for value, sums in values.items()}, minimum)
    if kept is None:
        return [sum(values.values(), NOBODY)]
    others = [sums for value, sums in values.items() if value not in kept]
    return [*(values[value] for value in sorted(kept)), *([sum(others, NOBODY)] if others else [])]


def judge(attribute: str, counts: Counts, minimum: int, penalty: float) -> Candidate:
    """What a layer by this attribute would be worth, summed over the nodes of all snapshots.

    score = sum over children of S^2 / n, less S^2 / n of their parents, less penalty * (groups added) * (mean square
    within the groups): the F test's comparison, with a threshold of `penalty`.
    """
    gain, added, groups = 0.0, 0, []
    for values in counts.values():
        children = split(values, minimum)
        gain += sum(child.explained for child in children) - sum(values.values(), NOBODY).explained
        added += len(children) - 1
        groups += children
    within = sum(group.squares - group.explained for group in groups)
    freedom = sum(group.customers for group in groups) - len(groups)
    mean_square = max(within, 0.0) / freedom if freedom > 0 else 0.0
    error = sum(group.leave_one_out_error for group in groups)
    return Candidate(
        attribute=attribute,
        score=gain - penalty * added * mean_square,
        explained_variance=1 - error / variation if (variation := variation_of(counts)) > 0 else 0.0,
        groups=len(groups),
    )


def variation_of(counts: Counts) -> float:
    """Squared errors, leave-one-out, when everybody is predicted by the mean of his snapshot."""
    snapshots: dict[Hashable, Sums] = {}
    for (snapshot, _), values in counts.items():
        snapshots[snapshot] = sum(values.values(), snapshots.get(snapshot, NOBODY))
    return sum(everybody.leave_one_out_error for everybody in snapshots.values())


def ranked(candidates: Iterable[Candidate]) -> Sequence[Candidate]:
    """The best first; of equals the first by name. Scores that differ by rounding only are equal."""
    return sorted(candidates, key=lambda candidate: (-round(candidate.score, 6), candidate.attribute))
