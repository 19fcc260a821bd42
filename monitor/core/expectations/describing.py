"""Describing: what an expectation looked at and found, also where it is met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.core.expectations.checking import check, find_nodes, say_wanted, show_values
from monitor.core.expectations.json_body import BodyError, PathError
from monitor.core.expectations.record import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.expectations.evidence import Evidence
    from monitor.core.expectations.record import Expectation
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
        expected=" and ".join(map(say_wanted, expectation.requirements)),
        found=_say_found(expectation, evidence),
        reason=None,
    )


def _say_found(expectation: Expectation, evidence: Evidence) -> str:
    nodes: Sequence[object]
    try:
        nodes = find_nodes(expectation, evidence)
    except (BodyError, PathError) as error:
        return str(error)
    if expectation.source is Source.JSON_SCHEMA:
        return "a document that fits"
    if not nodes:
        return "absent"

    return show_values(nodes, evidence.mask)
