"""Describing: what an expectation looked at and found, also where it is met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.core.expectations.checking import check, find_nodes, show_values, wanted_with_kind
from monitor.core.expectations.json_body import NotJsonError, PathError
from monitor.core.expectations.record import Count, Each, Existence, Quantified

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.expectations.evidence import Evidence
    from monitor.core.expectations.record import Expectation, Requirement
    from monitor.core.model.verdict import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was expected of a subject and what was found; `reason` is None where it is met."""

    subject: str
    expected: str
    found: str
    reason: Reason | None


def describe(expectation: Expectation, evidence: Evidence) -> Finding:
    """Say what an expectation found in an observation with an answer; never raises."""
    reason = check(expectation, evidence)
    if reason is not None:
        return Finding(
            subject=expectation.subject,
            expected=reason.expected,
            found=reason.found,
            reason=reason,
        )

    return Finding(
        subject=expectation.subject,
        expected=" and ".join(map(_say_wanted, expectation.requirements)),
        found=_say_found(expectation, evidence),
        reason=None,
    )


def _say_wanted(requirement: Requirement) -> str:
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


def _say_found(expectation: Expectation, evidence: Evidence) -> str:
    nodes: Sequence[object]
    try:
        nodes = find_nodes(expectation, evidence)
    except (NotJsonError, PathError) as error:
        return str(error)
    if not nodes:
        return "absent"

    return show_values(nodes, evidence.mask)
