"""Compiling: from what the configuration says to expectations that are ready to be checked."""

from __future__ import annotations

from errno import ENOENT
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.operands import read_flag, read_text, unknown, wrong
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
    Fits,
    Operator,
    Quantified,
    Requirement,
    Source,
)
from monitor.core.expectations.shown import plain
from monitor.core.expectations.sources import SOURCES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from monitor.core.expectations.facet import Facet, Path, ReadFile
    from monitor.core.expectations.sources import Entry

_COLUMN: Final = "column"
_OPTIONAL: Final = "optional"


def _read_nothing(name: str) -> str:
    raise FileNotFoundError(ENOENT, "there are no files here", name)


def compile_expectation(
    raw: object,
    at: str,
    *,
    sources: Collection[Source] = tuple(Source),
    read_file: ReadFile = _read_nothing,
) -> tuple[Expectation, ...]:
    """Compile what is expected of one source, which is one expectation for each part that it has.

    `at` is its `file:line:column`; `sources` are those that are offered where something else is
    written, and `read_file` gives the text of a file that is named. Raises ExpectationError, whose
    path leads from the expectation to what is wrong in it.
    """
    if not isinstance(raw, dict) or not raw:
        raise wrong((), "a source and an operator such as {status: 200}", raw)

    source = _source(raw, [one for one in Source if one in sources])
    entry = SOURCES[source]
    if entry.named is not None:
        return (_compile_named(source, entry, raw, at, read_file),)

    for key in raw:
        if key != source:
            raise ExpectationError(
                (str(key),), f"expected {key} below {source}, as in {entry.example}"
            )
    below = raw[source]
    if entry.facets:
        return _compile_parts(source, entry, below, at)

    assert entry.facet is not None
    return (_compile_facet(source, entry, entry.facet, below, (str(source),), at),)


def _source(raw: Mapping[object, object], offered: list[Source]) -> Source:
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
            raise unknown((), "source", key, offered)

    raise ExpectationError((), f"expected a source beside {next(iter(raw))}: {', '.join(offered)}")


def _compile_named(
    source: Source, entry: Entry, raw: Mapping[object, object], at: str, read_file: ReadFile
) -> Expectation:
    """Compile a source that has a name, with its operators beside it."""
    assert entry.named is not None
    assert entry.facet is not None
    facet = entry.facet
    name, selector = entry.named.read(raw[source], (str(source),), entry.example, read_file)
    operators = {key: operand for key, operand in raw.items() if key not in (source, _OPTIONAL)}
    optional = read_flag(raw.get(_OPTIONAL, False), (_OPTIONAL,))
    requirements: tuple[Requirement, ...]
    if entry.named.alone:
        for key in [key for key in raw if key != source]:
            raise ExpectationError((str(key),), f"expected {source} alone, as in {entry.example}")
        requirements = (Fits(schema=selector),)
    elif not operators:
        raise ExpectationError((), f"expected an operator beside {source}, as in {entry.example}")
    else:
        requirements = _requirements(operators, facet, ())
        if optional and any(isinstance(each, Existence | Count) for each in requirements):
            raise ExpectationError(
                (_OPTIONAL,),
                "what may be absent is not asked whether it exists: remove one of them",
            )

    return Expectation(
        source=source,
        requirements=requirements,
        subject=f"{facet.words} {plain(name)}",
        read=facet.read,
        name=name,
        selector=selector,
        cuttable=facet.cuttable,
        optional=optional,
        at=at,
    )


def _compile_parts(source: Source, entry: Entry, raw: object, at: str) -> tuple[Expectation, ...]:
    """Compile a source with parts, each of which says what is expected of it."""
    place = (str(source),)
    if not isinstance(raw, dict) or not raw:
        raise wrong(place, f"one of {', '.join(entry.facets)}, as in {entry.example}", raw)

    for key in raw:
        if key not in entry.facets:
            raise unknown(place, f"part of {source}", key, entry.facets)

    return tuple(
        _compile_facet(source, entry, entry.facets[key], below, (*place, key), at, name=key)
        for key, below in raw.items()
    )


def _compile_facet(
    source: Source,
    entry: Entry,
    facet: Facet,
    raw: object,
    path: Path,
    at: str,
    *,
    name: str = "",
) -> Expectation:
    """Compile what stands below a facet: operators, or where it is plain what it has to be."""
    requirements: tuple[Requirement, ...]
    subject, selector = facet.words, None
    if facet.plain and not isinstance(raw, dict):
        condition = compile_condition(Operator.EQUALS, False, raw, facet, path)
        requirements = (Each(condition=condition),)
    elif not isinstance(raw, dict) or not raw:
        raise wrong(path, f"operators, as in {entry.example}", raw)
    else:
        operators = raw
        if facet.columns and _COLUMN in raw:
            selector = name = read_text(raw[_COLUMN], (*path, _COLUMN))
            subject = f"column {plain(name)}"
            operators = {key: operand for key, operand in raw.items() if key != _COLUMN}
            if not operators:
                raise ExpectationError(path, f"expected an operator beside {_COLUMN}")
        requirements = _requirements(operators, facet, path, rows=facet.columns and not selector)

    return Expectation(
        source=source,
        requirements=requirements,
        subject=subject,
        read=facet.read,
        name=name,
        selector=selector,
        cuttable=facet.cuttable,
        at=at,
    )


def _requirements(
    operators: Mapping[object, object], facet: Facet, path: Path, *, rows: bool = False
) -> tuple[Requirement, ...]:
    requirements: list[Requirement] = []
    for key, operand in operators.items():
        name, negated = read_operator(key, facet, path)
        below = (*path, str(key))
        match name:
            case Operator.EXISTS:
                requirements.append(Existence(expected=read_flag(operand, below)))
            case Operator.COUNT:
                requirements += [Count(condition=each) for each in compile_count(operand, below)]
            case Operator.EVERY | Operator.ANY:
                requirements.append(_quantified(name, operand, facet, below, rows=rows))
            case _ if rows:
                raise ExpectationError(
                    below, f"expected a column beside {key}, as in {{column: failed, {key}: …}}"
                )
            case _:
                condition = compile_condition(name, negated, operand, facet, below)
                requirements.append(Each(condition=condition))
    _refuse_absent_with_value(requirements, path)

    return tuple(requirements)


def _quantified(name: Operator, raw: object, facet: Facet, path: Path, *, rows: bool) -> Quantified:
    if not isinstance(raw, dict) or not raw:
        raise wrong(path, "operators such as {lt: 100}", raw)

    column = ""
    if rows:
        if _COLUMN not in raw:
            raise ExpectationError(path, "expected a column, as in {column: failed, lt: 10}")
        column = read_text(raw[_COLUMN], (*path, _COLUMN))
        raw = {key: operand for key, operand in raw.items() if key != _COLUMN}
        if not raw:
            raise ExpectationError(path, f"expected an operator beside {_COLUMN}")

    conditions = []
    for key, operand in raw.items():
        inner, negated = read_operator(key, facet, path)
        conditions.append(compile_condition(inner, negated, operand, facet, (*path, str(key))))

    return Quantified(every=name is Operator.EVERY, conditions=tuple(conditions), column=column)


def _refuse_absent_with_value(requirements: list[Requirement], path: Path) -> None:
    """An absent source meets nothing but `exists` and `count`."""
    absent = any(isinstance(each, Existence) and not each.expected for each in requirements)
    if absent and any(isinstance(each, Each | Quantified) for each in requirements):
        raise ExpectationError(
            (*path, "exists"),
            "what does not exist meets no other operator: write exists: false alone",
        )
