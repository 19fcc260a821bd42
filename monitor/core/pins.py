"""Pinned headers: learning what an endpoint is accepted with, and judging its drift from that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from monitor.core.headers.drift import compare, pinned_lines
from monitor.core.judge import NO_ANSWER, judge_headers
from monitor.core.model.changes import NOTHING, Changes
from monitor.core.model.endpoint import DriftRule
from monitor.core.model.observation import Code
from monitor.core.model.pin import HeaderPin
from monitor.core.model.verdict import Outcome, Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from monitor.core.model.endpoint import Check, Endpoint
    from monitor.core.model.observation import Observation
    from monitor.core.situation import Situation

LEARNING: Final = "nothing is accepted yet: the policies have to pass first"


def drift_check(endpoint: Endpoint) -> Check | None:
    """Give the check that holds the headers of an endpoint against the accepted ones, if any."""
    return next((one for one in endpoint.checks if isinstance(one.rule, DriftRule)), None)


def judge_drift(
    check: Check,
    rule: DriftRule,
    observation: Observation,
    pins: Mapping[str, HeaderPin],
    mask: Callable[[str], str] = str,
) -> Verdict:
    """Judge an answer by what was accepted.

    Before anything was, a pass says that the policies pass, so that passes are counted; where they
    do not, the counts begin anew.
    """
    fault = observation.fault
    if fault is not None and fault.own:
        reason = Reason(code=fault.code, message=fault.message, found=fault.message)
        return Verdict(outcome=Outcome.UNKNOWN, at=observation.at, reasons=(reason,))

    lines = pinned_lines(observation, mask)
    if lines is None:
        return Verdict(outcome=Outcome.WAITING, at=observation.at, note=NO_ANSWER)

    pin = known_pin(check, pins)
    if pin is None:
        wrong = judge_headers(rule.of, observation, mask)
        if wrong is None or wrong:
            return Verdict(
                outcome=Outcome.WAITING, at=observation.at, note=LEARNING, restarts=bool(wrong)
            )
        return Verdict(outcome=Outcome.PASS, at=observation.at)

    reasons = tuple(
        Reason(
            code=Code.EXPECTATION,
            message=drift.message,
            expected=drift.was,
            found=drift.now,
            result=f"drift-{drift.kind}",
        )
        for drift in compare(pin.lines, lines)
    )
    outcome = Outcome.FAIL if reasons else Outcome.PASS

    return Verdict(outcome=outcome, at=observation.at, reasons=reasons)


def keep(
    check: Check,
    observation: Observation,
    situation: Situation,
    mask: Callable[[str], str] = str,
) -> Changes:
    """Accept the headers once they passed often enough; later, remember those that differ."""
    state = situation.states.get(check.id)
    lines = pinned_lines(observation, mask)
    if state is None or lines is None:
        return NOTHING

    judged_now = state.last_at == observation.at and state.last_outcome is not Outcome.UNKNOWN
    pin = known_pin(check, situation.pins)
    if pin is not None:
        seen = lines if compare(pin.lines, lines) else None
        differs = judged_now and seen != pin.seen
        return Changes(pins=(replace(pin, seen=seen),)) if differs else NOTHING

    if not judged_now or state.consecutive_passes < check.success_threshold:
        return NOTHING

    learned = HeaderPin(
        check=check.id, fingerprint=check.fingerprint, at=observation.at, lines=lines
    )

    return Changes(pins=(learned,))


def accept(pin: HeaderPin, now: datetime) -> HeaderPin:
    """Take what was seen last for what is accepted."""
    return pin if pin.seen is None else replace(pin, lines=pin.seen, seen=None, at=now)


def known_pin(check: Check, pins: Mapping[str, HeaderPin]) -> HeaderPin | None:
    """Give what was accepted of a check, unless that was the answer to another request."""
    pin = pins.get(check.id)

    return pin if pin is not None and pin.fingerprint == check.fingerprint else None
