"""Operators: which may follow a source, and the condition that each becomes with its operand."""

from __future__ import annotations

import operator
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from monitor.core.expectations.facet import (
    ABOUT_NODES,
    COUNTING,
    SAME,
    Facet,
    Operand,
)
from monitor.core.expectations.operands import (
    kind_of,
    read_flag,
    read_json,
    read_kind,
    read_number,
    read_pattern,
    read_text,
    same,
    unknown,
    wrong,
)
from monitor.core.expectations.record import Condition, ExpectationError, Kind, Operator
from monitor.core.expectations.regex import search
from monitor.core.expectations.shown import plain, show, show_list

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from monitor.core.expectations.facet import Path

NOT: Final = "not_"

_ORDER: Final[Mapping[Operator, tuple[Callable[[Any, Any], bool], str]]] = {
    Operator.LT: (operator.lt, "less than"),
    Operator.LTE: (operator.le, "at most"),
    Operator.GT: (operator.gt, "more than"),
    Operator.GTE: (operator.ge, "at least"),
}
_EVERY_KIND: Final = frozenset(Kind)
OPERATORS: Final = frozenset(Operator)
_STRING: Final = frozenset({Kind.STRING})
_SIZED: Final = frozenset({Kind.STRING, Kind.ARRAY, Kind.OBJECT})
_PARTICIPLE: Final = re.compile(r"^(text|something|an array)\b")
_ANCHORED_AT_END: Final = re.compile(r"(?<!\\)(?:\\\\)*(?:\$|\\z)")
_WHEN_CUT: Final = frozenset({Operator.GT, Operator.GTE})

_NUMBER: Final = Operand(read=read_number, shape={"type": "number"})
COUNT: Final = Facet(
    name="a count",
    words="count",
    read=lambda _, __: (),
    operators=COUNTING,
    literal=Operand(read=read_json, shape={}),
    ordered=_NUMBER,
)
"""What the number of values is compared as."""


def read_operator(name: object, facet: Facet, path: Path) -> tuple[Operator, bool]:
    """Read an operator's name, and whether it is the `not_` form.

    Raises ExpectationError for one that does not exist, or can never hold for the facet.
    """
    bare = str(name).removeprefix(NOT)
    negated = bare != name
    if bare not in OPERATORS or (negated and bare in ABOUT_NODES):
        raise _unknown_operator(name, bare, facet, path)

    found = Operator(bare)
    if found not in facet.operators:
        allowed = ", ".join(facet.operators)
        raise ExpectationError(
            (*path, str(name)), f"{name} does not apply to {facet.name}, expected one of {allowed}"
        )

    return found, negated


def compile_condition(
    name: Operator, negated: bool, raw: object, facet: Facet, path: Path
) -> Condition:
    """Make the condition that one value has to meet.

    Raises ExpectationError for an operand of the wrong type.
    """
    if name is Operator.IS_EMPTY and negated:
        return _positive(name, not read_flag(raw, path), facet, path)

    positive = _positive(name, raw, facet, path)

    return _negate(positive) if negated else positive


def compile_count(raw: object, path: Path) -> tuple[Condition, ...]:
    """Make the conditions on a number of values: `3`, or operators such as `{gte: 1}`."""
    if not isinstance(raw, dict):
        if isinstance(raw, bool) or not isinstance(raw, int) or raw < 0:
            raise wrong(path, "a whole number or operators such as {gte: 1}", raw)

        return (compile_condition(Operator.EQUALS, False, raw, COUNT, path),)

    if not raw:
        raise wrong(path, "operators such as {gte: 1}", raw)

    conditions = []
    for key, operand in raw.items():
        name, negated = read_operator(key, COUNT, path)
        below = (*path, str(key))
        condition = compile_condition(name, negated, operand, COUNT, below)
        if name in SAME and condition.kinds != {Kind.NUMBER}:
            raise wrong(below, "a whole number", operand)
        conditions.append(condition)

    return tuple(conditions)


def _unknown_operator(name: object, bare: str, facet: Facet, path: Path) -> ExpectationError:
    instead = {
        "not_exists": "write exists: false",
        "not_count": "write count: {not_equals: …}",
        "not_every": "write any with the opposite",
        "not_any": "write every with the opposite",
    }.get(str(name))
    if instead:
        return ExpectationError((*path, str(name)), f"there is no {name}: {instead}")

    known = facet.operators
    if bare == name:
        return unknown(path, "operator", name, known)

    return unknown(
        path, "operator", name, [f"{NOT}{each}" for each in known if each not in ABOUT_NODES]
    )


def _positive(name: Operator, raw: object, facet: Facet, path: Path) -> Condition:
    match name:
        case Operator.EQUALS:
            return _equals(raw, facet, path)
        case Operator.IN:
            return _in(raw, facet, path)
        case Operator.LT | Operator.LTE | Operator.GT | Operator.GTE:
            return _ordered(name, raw, facet, path)
        case Operator.BETWEEN:
            return _between(raw, facet, path)
        case Operator.CONTAINS:
            return _contains(raw, facet, path)
        case Operator.STARTS_WITH:
            text = read_text(raw, path)
            wanted = f"text starting with {show(text)}"
            return _condition(name, text, wanted, _STRING, lambda found: found.startswith(text))
        case Operator.ENDS_WITH:
            text = read_text(raw, path)
            wanted = f"text ending with {show(text)}"
            condition = _condition(name, text, wanted, _STRING, lambda found: found.endswith(text))
            return replace(condition, needs_whole=True)
        case Operator.MATCHES:
            return _matches(raw, path)
        case Operator.IS_EMPTY:
            empty = read_flag(raw, path)
            wanted = "to be empty" if empty else "not to be empty"
            condition = _condition(name, empty, wanted, _SIZED, lambda found: (not found) is empty)
            return replace(condition, needs_whole=empty)
        case Operator.TYPE:
            kind = read_kind(raw, path)
            wanted = with_article(kind)
            return _condition(name, kind, wanted, _EVERY_KIND, lambda found: kind_of(found) is kind)
        case _:
            raise ExpectationError(path, f"{name} is about several values and cannot stand here")


def _equals(raw: object, facet: Facet, path: Path) -> Condition:
    operand = facet.literal.read(raw, path)
    if facet.literal.test is not None:
        return _condition(
            Operator.EQUALS,
            operand,
            show_operand(operand, facet),
            facet.literal.kinds,
            facet.literal.test(operand),
        )

    kinds = _EVERY_KIND if operand is None else {kind_of(operand)}
    condition = _condition(
        Operator.EQUALS, operand, show(operand), kinds, lambda found: same(found, operand)
    )

    return replace(condition, needs_whole=True)


def _in(raw: object, facet: Facet, path: Path) -> Condition:
    if not isinstance(raw, list) or not raw:
        raise wrong(path, "a list of values, one or more", raw)

    operands = [facet.literal.read(value, (*path, index)) for index, value in enumerate(raw)]
    if facet.literal.test is not None:
        tests = [facet.literal.test(operand) for operand in operands]
        return _condition(
            Operator.IN,
            tuple(operands),
            f"one of {', '.join(show_operand(operand, facet) for operand in operands)}",
            facet.literal.kinds,
            lambda found: any(test(found) for test in tests),
        )

    kinds = _EVERY_KIND if None in operands else {kind_of(operand) for operand in operands}
    condition = _condition(
        Operator.IN,
        tuple(operands),
        f"one of {show_list(operands)}",
        kinds,
        lambda found: any(same(found, operand) for operand in operands),
    )

    return replace(condition, needs_whole=True)


def show_operand(operand: object, facet: Facet) -> str:
    """Write a literal; a pattern for several of them (`2xx`) stands without quotes."""
    return str(operand) if facet.literal.test is not None else show(operand)


def _read_ordered(facet: Facet, raw: object, path: Path) -> Any:
    assert facet.ordered is not None, "an operator that compares needs something to compare with"

    return facet.ordered.read(raw, path)


def _ordered(name: Operator, raw: object, facet: Facet, path: Path) -> Condition:
    compare, words = _ORDER[name]
    limit = _read_ordered(facet, raw, path)
    condition = _condition(
        name,
        limit,
        f"{words} {show(limit)}",
        {kind_of(limit)},
        lambda found: compare(found, limit),
    )

    return replace(condition, needs_whole=facet.grows and name not in _WHEN_CUT)


def _between(raw: object, facet: Facet, path: Path) -> Condition:
    if not isinstance(raw, list) or len(raw) != 2:
        raise wrong(path, "a list of two, the lowest and the highest that is healthy", raw)

    low, high = (_read_ordered(facet, value, (*path, index)) for index, value in enumerate(raw))
    if low > high:
        raise ExpectationError(path, f"nothing lies between {show(low)} and {show(high)}")

    condition = _condition(
        Operator.BETWEEN,
        (low, high),
        f"between {show(low)} and {show(high)}",
        {kind_of(low)},
        lambda found: low <= found <= high,
    )

    return replace(condition, needs_whole=facet.grows)


def _contains(raw: object, facet: Facet, path: Path) -> Condition:
    """A text contains a text; a JSON array contains a value that is the same."""
    if facet.anything and not isinstance(raw, str):
        operand = read_json(raw, path)
        return _condition(
            Operator.CONTAINS,
            operand,
            f"an array containing {show(operand)}",
            {Kind.ARRAY},
            lambda found: any(same(item, operand) for item in found),
        )

    text = read_text(raw, path)
    wanted = f"{'something' if facet.anything else 'text'} containing {show(text)}"

    return _condition(
        Operator.CONTAINS,
        text,
        wanted,
        {Kind.STRING, Kind.ARRAY} if facet.anything else _STRING,
        lambda found: text in found,
    )


def _matches(raw: object, path: Path) -> Condition:
    text, pattern = read_pattern(raw, path)
    condition = _condition(
        Operator.MATCHES,
        pattern,
        f"text matching {plain(text)}",
        _STRING,
        lambda found: search(pattern, found),
    )

    return replace(condition, needs_whole=_ANCHORED_AT_END.search(text) is not None)


def _condition(
    name: Operator,
    operand: object,
    wanted: str,
    kinds: frozenset[Kind] | set[Kind],
    test: Callable[[Any], bool],
) -> Condition:
    return Condition(
        operator=name,
        negated=False,
        operand=operand,
        wanted=wanted,
        kinds=frozenset(kinds),
        test=test,
    )


def _negate(positive: Condition) -> Condition:
    """Turn a condition round; what was not seen of a text might be what must not be there."""
    test = positive.test
    words, turned = _PARTICIPLE.subn(r"\1 not", positive.wanted)
    if not turned:
        words = f"anything but {positive.wanted}"

    return replace(
        positive,
        negated=True,
        wanted=words,
        test=lambda found: not test(found),
        needs_whole=True,
    )


def with_article(kind: Kind) -> str:
    """Name one type in words: `a number`, `an array`, `null`."""
    match kind:
        case Kind.NULL:
            return "null"
        case Kind.ARRAY | Kind.OBJECT:
            return f"an {kind}"
        case _:
            return f"a {kind}"


def describe_kinds(kinds: frozenset[Kind]) -> str:
    """Name types in words: `a number`, `a string or an array`."""
    return " or ".join(with_article(kind) for kind in Kind if kind in kinds)
