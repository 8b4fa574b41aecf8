"""What makes a rule of seeds/rules/audience_rules.csv impossible to follow."""

from __future__ import annotations

import difflib
import graphlib
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

#: As macros/audience_fields.sql unrolls them.
MAX_NESTING = 3
#: Steps are bits of a number that must be exact as a double.
MAX_STEPS = 50
MAX_AGO = {"days": 36_500, "months": 1_200}
NUMBER_OPERATORS = ("is", "at least", "at most", "between")
TEXT_OPERATORS = ("is", "contains", "begins with")

#: A row's cells by column, '' where blank.
Cells = Mapping[str, str]
#: A column, and what is wrong there.
Reason = tuple[str, str]


def audience_faults(
    table: Mapping[int, Mapping[str, str | None]],
    attributes: Collection[str],
    bands: Mapping[str, Collection[str]],
    fields: Collection[tuple[str, str]],
) -> Iterator[tuple[int, str, str]]:
    """(row, column, what is wrong) for every reason why a rule can't be followed.

    table: the rows by their number; their cells are known to be of the right types, and filled where they must be.
    attributes: those that there are. bands: the values of attributes that are in bands, by attribute. fields: (kind,
    field) of audience_fields.csv.
    """
    rules = {
        number: defaultdict(str, {name: text for name, text in row.items() if text}) for number, row in table.items()
    }
    audiences: dict[str, int] = {}
    steps: dict[tuple[str, int], int] = {}
    for number, row in rules.items():
        audiences.setdefault(row["audience_id"], number)
        steps.setdefault(_step(row), number)
    for number, row in rules.items():
        yield from ((number, *reason) for reason in _step_faults(rules, row, audiences, steps))
        if row["kind"] == "attribute":
            reasons = _attribute_faults(row, attributes, bands)
        elif row["kind"] == "number":
            reasons = _number_faults(row, [field for kind, field in fields if kind == "number"])
        elif row["kind"] == "audience":
            reasons = _reference_faults(row, audiences)
        else:
            reasons = _behaviour_faults(row, [field for kind, field in fields if kind == row["kind"]])
        yield from ((number, *reason) for reason in reasons)
    yield from _repetitions(rules)
    yield from _nesting_faults(rules)


def _step_faults(
    rules: Mapping[int, Cells], row: Cells, audiences: Mapping[str, int], steps: Mapping[tuple[str, int], int]
) -> Iterator[Reason]:
    if not _is_id(row["audience_id"]):
        yield "audience_id", f"{row['audience_id']!r} is not lower-case letters, digits and _, a letter first"
    first = audiences[row["audience_id"]]
    if row["audience"] != rules[first]["audience"]:
        yield "audience", f"{row['audience']!r}, but {rules[first]['audience']!r} in row {first}"
    first = steps[_step(row)]
    if _is_true(row["is_excluded"]) != _is_true(rules[first]["is_excluded"]):
        yield "is_excluded", f"not as in row {first} of the same step: rows of one step are alternatives"


def _attribute_faults(
    row: Cells, attributes: Collection[str], bands: Mapping[str, Collection[str]]
) -> Iterator[Reason]:
    yield from _no_behaviour(row)
    yield from _operator_faults(row, ("is",))
    known = bands.get(row["field"], ())
    if row["field"] not in attributes:
        yield "field", _suggest("attribute", row["field"], attributes)
    elif known and row["value"] and row["value"].lower() not in {*map(str.lower, known), "unknown", "none"}:
        yield "value", _suggest(f"band of {row['field']}", row["value"], known)


def _number_faults(row: Cells, numbers: Collection[str]) -> Iterator[Reason]:
    yield from _no_behaviour(row)
    yield from _operator_faults(row, NUMBER_OPERATORS)
    if row["field"] not in numbers:
        yield "field", _suggest("number", row["field"], numbers)
    is_between = row["operator"] == "between"
    ends = {name: row[name] for name in ("value", "value_to") if name == "value" or is_between}
    wrong = {name: end for name, end in ends.items() if end and not _is_number(end)}
    yield from ((name, f"{end!r} is not a number (with a point, not a comma)") for name, end in wrong.items())
    if is_between and not ends["value_to"]:
        yield "value_to", "it is blank: between needs both ends"
    elif is_between and ends["value"] and not wrong and float(ends["value"]) > float(ends["value_to"]):
        yield "value_to", f"between {ends['value']} and {ends['value_to']} lies nothing: the lower end comes first"


def _reference_faults(row: Cells, audiences: Collection[str]) -> Iterator[Reason]:
    yield from _no_behaviour(row)
    yield from _operator_faults(row, ("is",))
    if row["field"]:
        yield "field", f"an audience has none: leave {row['field']!r} out"
    if row["value"] and row["value"] not in audiences:
        yield "value", _suggest("audience", row["value"], audiences)


def _behaviour_faults(row: Cells, fields: Collection[str]) -> Iterator[Reason]:
    if row["field"] not in fields:
        yield "field", _suggest(f"field of {row['kind']}", row["field"], [field for field in fields if field])
    if row["field"] and (row["operator"] or row["value"]):
        yield from _operator_faults(row, TEXT_OPERATORS)
    elif row["operator"] or row["value"]:
        yield "field", f"it is blank: which field of {row['kind']} is {row['value']!r} about?"
    elif row["value_to"]:
        yield "value_to", "only numbers with the operator between have one"
    ends, unit = {name: row[name] for name in ("ago_from", "ago_to")}, row["ago_unit"]
    if any(ends.values()) != bool(unit):
        yield "ago_unit", "a window needs ago_from or ago_to, and ago_unit"
        return
    beyond = [name for name, end in ends.items() if end and int(end) > MAX_AGO[unit]]
    yield from ((name, f"{ends[name]} {unit} are more than {MAX_AGO[unit]}") for name in beyond)
    if all(ends.values()) and int(ends["ago_from"]) > int(ends["ago_to"]):
        yield (
            "ago_to",
            f"from {ends['ago_from']} to {ends['ago_to']} {unit} ago lies no day: ago_from is the near end, ago_to the "
            "far one",
        )


def _operator_faults(row: Cells, operators: Sequence[str]) -> Iterator[Reason]:
    """A condition on a value needs one of these operators, and the value."""
    if row["operator"] not in operators:
        said = f"{row['operator']!r} is not for {row['kind']}" if row["operator"] else "it is blank"
        yield "operator", f"{said}: take {', '.join(operators)}"
    if not row["value"]:
        yield "value", "it is blank"
    if row["value_to"] and row["operator"] != "between":
        yield "value_to", "only numbers with the operator between have one"


def _no_behaviour(row: Cells) -> Iterator[Reason]:
    used = [column for column in ("at_least", "ago_from", "ago_to", "ago_unit") if row[column]]
    if used:
        yield used[0], f"only what customers do has times and windows, not {row['kind']}"


def _repetitions(rules: Mapping[int, Cells]) -> Iterator[tuple[int, str, str]]:
    """Rows that say the same within a step, steps that ask the same as another step, and too many steps."""
    steps: dict[tuple[str, int], dict[tuple[str, ...], int]] = {}
    for number, row in rules.items():
        earlier = steps.setdefault(_step(row), {}).setdefault(_condition(row), number)
        if earlier != number:
            yield number, "step", f"the same as in row {earlier}"
    seen: dict[tuple[str, frozenset[tuple[str, ...]]], int] = {}
    counts: dict[str, int] = {}
    for (audience_id, _), alternatives in steps.items():
        number = next(iter(alternatives.values()))
        earlier = seen.setdefault((audience_id, frozenset(alternatives)), number)
        if earlier != number:
            yield number, "step", f"it asks the same as step {rules[earlier]['step']} in row {earlier}"
        counts[audience_id] = counts.get(audience_id, 0) + 1
        if counts[audience_id] == MAX_STEPS + 1:
            yield number, "step", f"an audience has at most {MAX_STEPS} steps"


def _nesting_faults(rules: Mapping[int, Cells]) -> Iterator[tuple[int, str, str]]:
    """Audiences that refer to each other in a circle, or too deep."""
    references: dict[str, dict[str, int]] = {}
    for number, row in rules.items():
        if row["kind"] == "audience":
            references.setdefault(row["audience_id"], {}).setdefault(row["value"], number)
    try:
        order = list(graphlib.TopologicalSorter(references).static_order())
    except graphlib.CycleError as error:
        circle = error.args[1][::-1]
        yield references[circle[0]][circle[1]], "value", f"audiences refer to each other in a circle: {_arrows(circle)}"
        return
    depths: dict[str, int] = {}
    for audience_id in order:
        nested = references.get(audience_id, {})
        depths[audience_id] = max((depths[name] + 1 for name in nested), default=0)
        if depths[audience_id] == MAX_NESTING + 1:
            number = next(number for name, number in nested.items() if depths[name] == MAX_NESTING)
            yield number, "value", f"audiences refer to each other at most {MAX_NESTING} deep; this is one more"


def _step(row: Cells) -> tuple[str, int]:
    return row["audience_id"], int(row["step"])


def _condition(row: Cells) -> tuple[str, ...]:
    """What a row asks, with what makes no difference made equal."""
    columns = ("kind", "field", "operator", "value_to", "ago_from", "ago_to", "ago_unit")
    return (*(row[column] for column in columns), row["value"].lower(), row["at_least"] or "1")


def _arrows(names: Iterable[str]) -> str:
    return " -> ".join(names)


def _suggest(what: str, name: str, known: Iterable[str]) -> str:
    """Says that there is no such thing, and what may have been meant."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"there is no {what} {name!r}: " + (f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}")


def _is_true(text: str) -> bool:
    return text.lower() == "true"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def _is_id(text: str) -> bool:
    return text.isascii() and text[:1].isalpha() and text.replace("_", "a").isalnum() and text == text.lower()
