"""Checking: whether one observation meets an expectation, and the words where it does not."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.json_body import BodyError, Node, PathError
from monitor.core.expectations.json_schema import first_misfit
from monitor.core.expectations.operands import kind_of
from monitor.core.expectations.operators import describe_kinds, with_article
from monitor.core.expectations.record import (
    Count,
    Each,
    Existence,
    Fits,
    Kind,
    Operator,
    Quantified,
    Source,
)
from monitor.core.expectations.regex import find
from monitor.core.expectations.rows import MISSING, Cell, in_column
from monitor.core.expectations.shown import (
    DEEPEST_SHOWN,
    LONGEST_SHOWN,
    Bytes,
    plain,
    quote,
    shorten,
    show,
    show_list,
)
from monitor.core.model.observation import Code
from monitor.core.model.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.core.expectations.evidence import Evidence
    from monitor.core.expectations.json_schema import Schema
    from monitor.core.expectations.record import Condition, Expectation, Requirement

    Mask = Callable[[str], str]

_EXPLAINED_BY: Final = {Source.EXIT_CODE: "said", Source.VALUE: "hint"}
"""Under which name a kind of probe tells why something is as it is, or what to write instead."""

_BEFORE_A_MATCH: Final = 20
_MOST_SHOWN: Final = 10
_LONGEST_SAID: Final = 200
_ONLY_GROW: Final = frozenset({Operator.GT, Operator.GTE})
_CODES: Final = {
    Source.STATUS: Code.STATUS,
    Source.RCODE: Code.RCODE,
    Source.EXIT_CODE: Code.EXIT_CODE,
}
_OF_DNS: Final = frozenset({Source.DNS_ANSWER, Source.DNS_RECORDS})
_NAMED_KINDS: Final = frozenset({Operator.EQUALS, Operator.IN})


def check(expectation: Expectation, evidence: Evidence) -> Reason | None:
    """Say why an observation with an answer does not meet an expectation; None where it does.

    Never raises, whatever the target sent.
    """
    reason = _find_reason(expectation, evidence)
    known = _EXPLAINED_BY.get(expectation.source, "")
    said = evidence.observation.values.get(known)
    if reason is not None and said:
        words = shorten(plain(evidence.mask(str(said))), limit=_LONGEST_SAID)
        return replace(reason, message=f"{reason.message}: {words}")

    return reason


def _find_reason(expectation: Expectation, evidence: Evidence) -> Reason | None:
    try:
        nodes = find_nodes(expectation, evidence)
    except BodyError as error:
        return _reason(expectation, f"body {error}", error.wanted, f"body {error}")
    except PathError as error:
        said = f"{expectation.subject} {error}"
        return _reason(expectation, said, "a smaller body", str(error))

    cut = expectation.cuttable and evidence.observation.body_truncated
    if expectation.optional and not nodes and not cut:
        return None

    for requirement in expectation.requirements:
        if not _met(requirement, nodes, cut):
            dns = expectation.source in _OF_DNS
            if cut and _met(requirement, nodes, False) and dns:
                return _explain_truncated(expectation, say_wanted(requirement))
            if cut and _met(requirement, nodes, False) and expectation.source is Source.HTML:
                length = len(evidence.observation.body)
                return _explain_cut(expectation, say_wanted(requirement), length)
            return _explain(expectation, requirement, nodes, cut and not dns, evidence.mask)

    return None


def find_nodes(expectation: Expectation, evidence: Evidence) -> Sequence[object]:
    """Give what there is at the source: no value where it is absent, several for repeated ones.

    Where a scalar operator needs exactly one they are Nodes, everywhere else plain values.
    """
    return expectation.read(evidence, expectation.selector)


def _met(requirement: Requirement, nodes: Sequence[object], cut: bool) -> bool:
    if cut and _needs_whole(requirement, nodes):
        return False

    match requirement:
        case Each(condition=condition):
            if not nodes:
                return False
            if len(nodes) == 1:
                return holds(condition, nodes[0])
            if isinstance(nodes[0], Node):
                return False
            # Lines of one header: one that matches satisfies, the negated form needs none.
            met = (holds(condition, line) for line in nodes)
            return all(met) if condition.negated else any(met)
        case Existence(expected=expected):
            return bool(nodes) is expected
        case Count(condition=condition):
            return condition.test(len(nodes))
        case Quantified(every=every, conditions=conditions, column=column):
            if column:
                nodes = in_column(nodes, column)
            met = (all(holds(each, node) for each in conditions) for node in nodes)
            return bool(nodes) and (all(met) if every else any(met))
        case Fits(schema=schema):
            return first_misfit(schema, nodes[0]) is None


def _needs_whole(requirement: Requirement, nodes: Sequence[object]) -> bool:
    """Whether what was cut off might be what matters; an element that was found is whole."""
    match requirement:
        case Each(condition=condition):
            elements = bool(nodes) and isinstance(nodes[0], Node)
            return condition.negated if elements else condition.needs_whole
        case Existence(expected=expected):
            return not expected
        case Count(condition=condition):
            return condition.negated or condition.operator not in _ONLY_GROW
        case Quantified(every=every):
            return every
        case Fits():
            return True


def holds(condition: Condition, node: object) -> bool:
    """Apply a condition to one value; a value of another type meets it in no form."""
    value = value_of(node)

    if value is MISSING or value != value:  # noqa: PLR0124 - NaN is neither below nor above
        return False

    return kind_of(value) in condition.kinds and condition.test(value)


def value_of(node: object) -> object:
    """Give the value that a node holds; what is no node is a value itself."""
    return node.value if isinstance(node, Node) else node


def _explain(
    expectation: Expectation,
    requirement: Requirement,
    nodes: Sequence[object],
    cut: bool,
    mask: Mask,
) -> Reason:
    subject = expectation.subject
    match requirement:
        case Existence(expected=True):
            return _reason(expectation, f"{subject} is absent", "to exist", "absent")
        case Existence():
            found = show_values(nodes, mask)
            said = f"{subject} is {found}"
            if isinstance(nodes[0], Cell) and not nodes[0].column:
                said = f"{subject} has {_number(nodes)}, the first is {found}"
            return _reason(expectation, said, "to be absent", found)
        case Count(condition=condition):
            return _explain_count(expectation, condition, nodes)
        case Quantified():
            return _explain_quantified(expectation, requirement, nodes, mask)
        case Each(condition=condition):
            return _explain_each(expectation, condition, nodes, cut, mask)
        case Fits(schema=schema):
            return _explain_misfit(expectation, schema, nodes[0], mask)


def _explain_cut(expectation: Expectation, wanted: str, length: int) -> Reason:
    """Say that nobody knows what the rest of a page has in it."""
    found = f"a body that was cut after {length} bytes"
    said = f"{expectation.subject} is not known: the body was cut after {length} bytes"

    return _reason(expectation, f"{said} (raise request.body_limit)", wanted, found)


def _explain_truncated(expectation: Expectation, wanted: str) -> Reason:
    """Say that a server left out what did not fit into its packet."""
    said = f"{expectation.subject} is not known: it was truncated (ask with transport: tcp)"

    return _reason(expectation, said, wanted, "a truncated answer")


def _explain_misfit(
    expectation: Expectation, schema: Schema, document: object, mask: Mask
) -> Reason:
    misfit = first_misfit(schema, document)
    assert misfit is not None
    found = show(masked(misfit.value, mask))
    where = quote(mask(misfit.location))[1:-1]
    said = f"{expectation.subject} does not fit: {where} is {found}"

    return _reason(expectation, said, misfit.wanted, found)


def _explain_each(
    expectation: Expectation,
    condition: Condition,
    nodes: Sequence[object],
    cut: bool,
    mask: Mask,
) -> Reason:
    subject, wanted = expectation.subject, condition.wanted
    if not nodes:
        return _reason(expectation, f"{subject} is absent", wanted, "absent")

    if isinstance(nodes[0], Node) and len(nodes) > 1:
        found = f"{len(nodes)} values"
        said = f"{subject} {_finds(nodes)} {found} (write every or any)"
        return _reason(expectation, said, f"exactly one: {wanted}", found)

    if value_of(nodes[0]) is MISSING:
        return _reason(expectation, f"{subject} is absent", wanted, "absent")

    values = [masked(value_of(node), mask) for node in nodes]
    kind = kind_of(values[0])
    if kind not in condition.kinds:
        found = show(values[0])
        said = (
            f"{subject} is {found}"
            if kind is Kind.NULL
            else f"{subject} is {with_article(kind)}, {found}"
        )
        return _reason(expectation, said, wanted_with_kind(condition), found)

    found = _shown_text(condition, values) or show_list(values)
    if cut and isinstance(values[0], Bytes):
        found = f"more than {found}"
        said = f"{subject} is {found}, where it was cut (raise request.body_limit)"
        return _reason(expectation, said, wanted, found)
    if cut:
        length = len(str(value_of(nodes[0])))
        more = " (raise request.body_limit)" if expectation.source is Source.BODY else ""
        said = f"{subject} was cut after {length} characters{more}: {found}"
        return _reason(expectation, said, wanted, found)

    return _reason(expectation, f"{subject} is {found}", wanted, found)


def _shown_text(condition: Condition, values: list[object]) -> str | None:
    """Show the part of a text that must not be there, rather than how the text begins."""
    for value in values:
        if not isinstance(value, str) or not condition.negated:
            return None

        match condition.operator:
            case Operator.CONTAINS:
                at = value.find(str(condition.operand))
            case Operator.MATCHES:
                at = find(condition.operand, value)
            case _:
                return None
        if at > _BEFORE_A_MATCH:
            return f"…{quote(value[at - _BEFORE_A_MATCH :])}"
        if at >= 0:
            return quote(value)

    return None


def _explain_count(
    expectation: Expectation, condition: Condition, nodes: Sequence[object]
) -> Reason:
    count = len(nodes)
    if expectation.source is Source.HEADER:
        said = (
            "is absent" if not count else f"is sent {count} times" if count > 1 else "is sent once"
        )
    else:
        said = f"{_finds(nodes)} {_number(nodes)}"
        value = value_of(nodes[0]) if count == 1 else None
        if isinstance(value, list) and expectation.source is Source.JSON:
            said += f" (an array of {len(value)}; {expectation.name}[*] finds what is in it)"

    return _reason(expectation, f"{expectation.subject} {said}", condition.wanted, str(count))


def _explain_quantified(
    expectation: Expectation, requirement: Quantified, nodes: Sequence[object], mask: Mask
) -> Reason:
    wanted = say_wanted(requirement)
    if not nodes:
        return _reason(expectation, f"{expectation.subject} is absent", wanted, "absent")

    subject = expectation.subject
    if requirement.column:
        nodes, subject = in_column(nodes, requirement.column), f"column {plain(requirement.column)}"
    failing = [
        node for node in nodes if not all(holds(each, node) for each in requirement.conditions)
    ]
    found = _shown(failing[0], mask)
    where = _where(failing[0], mask)
    share = f" ({len(failing)} of {len(nodes)} are not)"

    return _reason(expectation, f"{subject} is {found}{where}", wanted, found, share)


def _where(node: object, mask: Mask) -> str:
    """Say where a value stands among the others, where that can be said."""
    match node:
        case Cell():
            return f" in {node.where(mask)}"
        case Node(location=str() as location) if location:
            return f" at {quote(location)[1:-1]}"
        case _:
            return ""


def _shown(node: object, mask: Mask) -> str:
    value = value_of(node)

    return "absent" if value is MISSING else show(masked(value, mask))


def _finds(nodes: Sequence[object]) -> str:
    return "has" if nodes and isinstance(nodes[0], Cell) else "finds"


def _number(nodes: Sequence[object]) -> str:
    thing = "row" if nodes and isinstance(nodes[0], Cell) else "value"

    return f"{len(nodes)} {thing}{'' if len(nodes) == 1 else 's'}"


def show_values(nodes: Sequence[object], mask: Callable[[str], str]) -> str:
    """Write the first values of what was found, secrets masked."""
    return shorten(", ".join(_shown(node, mask) for node in nodes[:_MOST_SHOWN]))


def masked(value: object, mask: Callable[[str], str], depth: int = DEEPEST_SHOWN) -> object:
    """Mask the texts in a value, as deep and as far as they can be shown."""
    match value:
        case str():
            return mask(value)
        case list() if depth:
            return [masked(item, mask, depth - 1) for item in value[:LONGEST_SHOWN]]
        case dict() if depth:
            return {
                mask(key): masked(item, mask, depth - 1)
                for key, item in islice(value.items(), LONGEST_SHOWN)
            }
        case _:
            return value


def wanted_with_kind(condition: Condition) -> str:
    """Name the type as well, where the words for what is wanted do not say it."""
    if condition.kinds == frozenset(Kind) or condition.wanted.startswith(_SAYS_ITS_KIND):
        return condition.wanted

    separator = ":" if condition.operator in _NAMED_KINDS else ""

    return f"{describe_kinds(condition.kinds)}{separator} {condition.wanted}"


def say_wanted(requirement: Requirement) -> str:
    """Say in words what one requirement wants."""
    match requirement:
        case Each(condition=condition):
            return condition.wanted
        case Count(condition=condition):
            return f"count {condition.wanted}"
        case Existence(expected=expected):
            return "to exist" if expected else "to be absent"
        case Quantified(every=every, conditions=conditions):
            words = " and ".join(wanted_with_kind(condition) for condition in conditions)
            return f"{'every' if every else 'any'} value to be {words}"
        case Fits():
            return "a document that fits"


def _reason(
    expectation: Expectation, said: str, wanted: str, found: str, share: str = ""
) -> Reason:
    return Reason(
        code=_CODES.get(expectation.source, Code.EXPECTATION),
        message=f"{said}, expected {wanted}{share}",
        expected=wanted,
        found=found,
        at=expectation.at,
    )


_SAYS_ITS_KIND: Final = ("text ", "an array ", "something ")
