"""What makes a rule of seeds/rules/audience_rules.csv impossible to follow."""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from orchestration.rule_files import Fault, Row, is_number, suggest

#: As macros/audience_fields.sql unrolls them.
MAX_NESTING = 3
#: Steps are bits of a number that must be exact as a double.
MAX_STEPS = 50
MAX_AGO = {"days": 36_500, "months": 1_200}
NUMBER_OPERATORS = ("is", "at least", "at most", "between")
TEXT_OPERATORS = ("is", "contains", "begins with")


def audience_faults(
    rules: Sequence[Row],
    fields: Collection[tuple[str, str]],
    bands: Mapping[str, Collection[str]],
    attribute_fault: Callable[[str], str | None],
) -> Iterator[Fault]:
    """Every reason why a rule can't be followed, row by row. The cells are known to be of the right types.

    fields: (kind, field) of audience_fields.csv. bands: the values of attributes that are in bands, by attribute.
    attribute_fault: says why an attribute can't be used, or None.
    """
    audiences = {row["audience_id"]: row for row in reversed(rules)}
    steps: dict[tuple[str, int], Row] = {}
    for row in rules:
        first = audiences[row["audience_id"]]
        step = steps.setdefault((row["audience_id"], int(row["step"])), row)
        reasons = []
        if not _is_id(row["audience_id"]):
            reasons.append("an audience_id is lower-case letters, digits and _, a letter first")
        if row["audience"] != first["audience"]:
            reasons.append(f"the audience is {row['audience']!r}, but {first['audience']!r} in line {first.line}")
        if int(row["step"]) < 1:
            reasons.append("steps are counted from 1")
        if row.is_true("is_excluded") != step.is_true("is_excluded"):
            reasons.append(f"is_excluded differs from line {step.line}: rows of one step are alternatives")
        if row["kind"] == "attribute":
            reasons += _attribute_faults(row, bands, attribute_fault)
        elif row["kind"] == "number":
            reasons += _number_faults(row, fields)
        elif row["kind"] == "audience":
            reasons += _reference_faults(row, audiences)
        else:
            reasons += _behaviour_faults(row, fields)
        yield from (_fault(row, reason) for reason in reasons)
    yield from _repetitions(rules)
    yield from _nesting_faults(rules)


def _attribute_faults(
    row: Row, bands: Mapping[str, Collection[str]], attribute_fault: Callable[[str], str | None]
) -> Iterator[str]:
    yield from _no_behaviour(row)
    yield from _operator_faults(row, ("is",))
    known = bands.get(row["field"], ())
    if reason := attribute_fault(row["field"]):
        yield reason
    elif known and row["value"] and row["value"].lower() not in {*map(str.lower, known), "unknown", "none"}:
        yield suggest(f"band of {row['field']}", row["value"], known)


def _number_faults(row: Row, fields: Collection[tuple[str, str]]) -> Iterator[str]:
    yield from _no_behaviour(row)
    yield from _operator_faults(row, NUMBER_OPERATORS)
    if ("number", row["field"]) not in fields:
        yield suggest("number", row["field"], [field for kind, field in fields if kind == "number"])
    is_between = row["operator"] == "between"
    ends = [row["value"], row["value_to"]] if is_between else [row["value"]]
    wrong = [end for end in ends if end and not is_number(end)]
    yield from (f"{end!r} is no number" for end in wrong)
    if is_between and not row["value_to"]:
        yield "value_to is missing: between needs both ends"
    elif is_between and all(ends) and not wrong and float(ends[0]) > float(ends[1]):
        yield f"between {ends[0]} and {ends[1]} lies nothing: the lower end comes first"


def _reference_faults(row: Row, audiences: Mapping[str, Row]) -> Iterator[str]:
    yield from _no_behaviour(row)
    yield from _operator_faults(row, ("is",))
    if row["field"]:
        yield f"an audience has no field: leave {row['field']!r} out"
    if row["value"] and row["value"] not in audiences:
        yield suggest("audience", row["value"], audiences)


def _behaviour_faults(row: Row, fields: Collection[tuple[str, str]]) -> Iterator[str]:
    kind, field = row["kind"], row["field"]
    if (kind, field) not in fields:
        yield suggest(f"field of {kind}", field, [name for behaviour, name in fields if behaviour == kind and name])
    if field and (row["operator"] or row["value"]):
        yield from _operator_faults(row, TEXT_OPERATORS)
    elif row["operator"] or row["value"]:
        yield f"name the field of {kind} that {row['value']!r} is about"
    if row["value_to"]:
        yield "value_to is for numbers with the operator between"
    if row["at_least"] and int(row["at_least"]) < 1:
        yield "at_least must be 1 or more"
    ends, unit = [row["ago_from"], row["ago_to"]], row["ago_unit"]
    if any(ends) != bool(unit):
        yield "a window needs ago_from or ago_to, and ago_unit"
    elif any(end and not 0 <= int(end) <= MAX_AGO[unit] for end in ends):
        yield f"a window lies between 0 and {MAX_AGO[unit]} {unit} ago"
    elif all(ends) and int(ends[0]) > int(ends[1]):
        yield f"from {ends[0]} to {ends[1]} {unit} ago lies no day: ago_from is the near end, ago_to the far one"


def _operator_faults(row: Row, operators: Sequence[str]) -> Iterator[str]:
    """A condition on a value needs one of these operators, and the value."""
    if not row["operator"]:
        yield f"the operator is missing: take {', '.join(operators)}"
    elif row["operator"] not in operators:
        yield f"the operator {row['operator']!r} is not for {row['kind']}: take {', '.join(operators)}"
    if not row["value"]:
        yield "the value is missing"
    if row["value_to"] and row["operator"] != "between":
        yield "value_to is for numbers with the operator between"


def _no_behaviour(row: Row) -> Iterator[str]:
    used = [column for column in ("at_least", "ago_from", "ago_to", "ago_unit") if row[column]]
    if used:
        yield f"{', '.join(used)}: only what customers do has times and windows, {row['kind']} does not"


def _repetitions(rules: Sequence[Row]) -> Iterator[Fault]:
    """Rows that say the same within a step, steps that ask the same as another step, and too many steps."""
    steps: dict[tuple[str, int], dict[tuple[str, ...], Row]] = {}
    for row in rules:
        alternatives = steps.setdefault((row["audience_id"], int(row["step"])), {})
        earlier = alternatives.setdefault(_condition(row), row)
        if earlier is not row:
            yield _fault(row, f"it repeats line {earlier.line}")
    seen: dict[tuple[str, frozenset[tuple[str, ...]]], Row] = {}
    counts: dict[str, int] = {}
    for (audience_id, _), alternatives in steps.items():
        row = next(iter(alternatives.values()))
        earlier = seen.setdefault((audience_id, frozenset(alternatives)), row)
        if earlier is not row:
            yield _fault(row, f"it asks the same as step {earlier['step']} in line {earlier.line}")
        counts[audience_id] = counts.get(audience_id, 0) + 1
        if counts[audience_id] == MAX_STEPS + 1:
            yield _fault(row, f"an audience has at most {MAX_STEPS} steps")


def _nesting_faults(rules: Sequence[Row]) -> Iterator[Fault]:
    """Audiences that refer to each other in a circle, or too deep."""
    references: dict[str, dict[str, Row]] = {}
    for row in rules:
        if row["kind"] == "audience":
            references.setdefault(row["audience_id"], {}).setdefault(row["value"], row)
    try:
        order = list(graphlib.TopologicalSorter(references).static_order())
    except graphlib.CycleError as error:
        circle = error.args[1][::-1]
        yield _fault(
            references[circle[0]][circle[1]], f"audiences refer to each other in a circle: {' -> '.join(circle)}"
        )
        return
    depths: dict[str, int] = {}
    for audience_id in order:
        nested = references.get(audience_id, {})
        depths[audience_id] = max((depths[name] + 1 for name in nested), default=0)
        if depths[audience_id] == MAX_NESTING + 1:
            row = next(row for name, row in nested.items() if depths[name] == MAX_NESTING)
            yield _fault(row, f"audiences refer to each other at most {MAX_NESTING} deep; this would be one more")


def _condition(row: Row) -> tuple[str, ...]:
    """What a row asks, with what makes no difference made equal."""
    columns = ("kind", "field", "operator", "value_to", "ago_from", "ago_to", "ago_unit")
    return (*(row[column] for column in columns), row["value"].lower(), row["at_least"] or "1")


def _fault(row: Row, reason: str) -> Fault:
    return Fault(row.file, row.line, f"audience {row['audience_id']}, step {row['step']}: {reason}")


def _is_id(text: str) -> bool:
    return text.isascii() and text[:1].isalpha() and text.replace("_", "a").isalnum() and text == text.lower()
