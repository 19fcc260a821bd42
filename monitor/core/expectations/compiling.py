"""Compiling: from what the configuration says to an expectation that is ready to be checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.json_body import JsonPath, PathError, compile_path
from monitor.core.expectations.operands import read_flag, unknown, wrong
from monitor.core.expectations.operators import (
    NOT,
    OPERATORS,
    compile_condition,
    compile_count,
    read_operator,
)
from monitor.core.expectations.record import (
    Count,
    Each,
    Existence,
    Expectation,
    ExpectationError,
    Operator,
    Quantified,
    Requirement,
    Source,
)
from monitor.core.expectations.shown import show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.core.expectations.operands import Path

_NAMED: Final = (Source.HEADER, Source.JSON)
_PLAIN: Final = (Source.STATUS, Source.HTTP_VERSION)
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def compile_expectation(raw: object, at: str) -> Expectation:
    """Compile one expectation; `at` is its `file:line:column`.

    Raises ExpectationError, whose path leads from the expectation to what is wrong in it.
    """
    if not isinstance(raw, dict) or not raw:
        raise wrong((), "a source and an operator such as {status: 200}", raw)

    source = _source(raw)
    if source in _NAMED:
        return _compile_named(source, raw, at)

    for key in raw:
        if key != source:
            raise ExpectationError(
                (str(key),), f"expected {key} below {source}, as in {_example(source)}"
            )
    operators = raw[source]
    if source in _PLAIN and not isinstance(operators, dict):
        condition = compile_condition(Operator.EQUALS, False, operators, source, (str(source),))
        return Expectation(source=source, requirements=(Each(condition=condition),), at=at)

    if not isinstance(operators, dict) or not operators:
        raise wrong((str(source),), f"operators, as in {_example(source)}", operators)

    return Expectation(
        source=source, requirements=_requirements(operators, source, (str(source),)), at=at
    )


def _source(raw: Mapping[object, object]) -> Source:
    found = [source for source in Source if source in raw]
    if len(found) == 1:
        return found[0]

    if found:
        raise ExpectationError(
            (), f"expected one source, found {' and '.join(found)}: write one expectation for each"
        )

    for key in raw:
        bare = str(key).removeprefix(NOT)
        if bare not in OPERATORS:
            raise unknown((), "source", key, Source)

    raise ExpectationError((), f"expected a source beside {next(iter(raw))}: {', '.join(Source)}")


def _compile_named(source: Source, raw: Mapping[object, object], at: str) -> Expectation:
    """Compile a source that has a name, with its operators beside it."""
    name, path = _name(source, raw[source])
    operators = {key: operand for key, operand in raw.items() if key != source}
    if not operators:
        raise ExpectationError(
            (), f"expected an operator beside {source}, as in {_example(source)}"
        )

    requirements = _requirements(operators, source, ())
    _refuse_absent_with_value(requirements)

    return Expectation(source=source, requirements=requirements, name=name, path=path, at=at)


def _name(source: Source, raw: object) -> tuple[str, JsonPath | None]:
    place = (str(source),)
    if source is Source.HEADER:
        if not isinstance(raw, str) or not _HEADER_NAME.fullmatch(raw):
            raise wrong(place, "the name of a header, as in " + _example(source), raw)
        return raw.lower(), None

    if not isinstance(raw, str):
        raise wrong(place, "a JSONPath, as in " + _example(source), raw)

    try:
        return str(raw), compile_path(str(raw))
    except PathError as error:
        raise ExpectationError(place, f"{show(raw)} is no JSONPath: {error}") from error


def _requirements(
    operators: Mapping[object, object], source: Source, path: Path
) -> tuple[Requirement, ...]:
    requirements: list[Requirement] = []
    for key, operand in operators.items():
        name, negated = read_operator(key, source, path)
        below = (*path, str(key))
        match name:
            case Operator.EXISTS:
                requirements.append(Existence(expected=read_flag(operand, below)))
            case Operator.COUNT:
                requirements += [Count(condition=each) for each in compile_count(operand, below)]
            case Operator.EVERY | Operator.ANY:
                requirements.append(_quantified(name, operand, source, below))
            case _:
                condition = compile_condition(name, negated, operand, source, below)
                requirements.append(Each(condition=condition))

    return tuple(requirements)


def _quantified(name: Operator, raw: object, source: Source, path: Path) -> Quantified:
    if not isinstance(raw, dict) or not raw:
        raise wrong(path, "operators such as {lt: 100}", raw)

    conditions = []
    for key, operand in raw.items():
        inner, negated = read_operator(key, source, path)
        conditions.append(compile_condition(inner, negated, operand, source, (*path, str(key))))

    return Quantified(every=name is Operator.EVERY, conditions=tuple(conditions))


def _refuse_absent_with_value(requirements: tuple[Requirement, ...]) -> None:
    """An absent source meets nothing but `exists` and `count`."""
    absent = any(isinstance(each, Existence) and not each.expected for each in requirements)
    if absent and any(isinstance(each, Each | Quantified) for each in requirements):
        raise ExpectationError(
            ("exists",), "what does not exist meets no other operator: write exists: false alone"
        )


def _example(source: Source) -> str:
    return {
        Source.STATUS: "{status: 200}",
        Source.HEADER: "{header: content-type, contains: json}",
        Source.BODY: "{body: {contains: ok}}",
        Source.JSON: "{json: $.status, equals: ok}",
        Source.RESPONSE_TIME: "{response_time: {lt: 3s}}",
        Source.HTTP_VERSION: '{http_version: "1.1"}',
    }[source]
