"""Counting: what one more verdict makes of a check's state, and what happened thereby."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from monitor.core.baselines import baseline_of, leave_out
from monitor.core.flapping import note_closing, note_opening, settle
from monitor.core.model.check_state import Change, CheckEvent, CheckState
from monitor.core.model.endpoint import InARow, KOfN, OverTime, WindowRule
from monitor.core.model.verdict import Outcome
from monitor.core.thresholds import crossed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

    from monitor.core.model.endpoint import Check, FailureThreshold
    from monitor.core.model.verdict import Verdict

BLIND_AFTER_INTERVALS: Final = 3
_JITTER: Final = 0.5
"""The share of an interval by which probes may be early and still count as a whole one."""

Advance = tuple[CheckState, tuple[CheckEvent, ...]]


def advance(
    check: Check, state: CheckState | None, verdict: Verdict, *, every: timedelta
) -> Advance:
    """Count one verdict; `every` is the endpoint's interval, by which blindness is measured.

    Retries count like scheduled samples here. Unknown moves no counter but that of blindness;
    waiting moves none, save that `on_insufficient: reset` restarts them; what is open stays open.
    """
    state = (
        adopt(check, state, verdict.at)
        if state
        else CheckState(check=check.id, fingerprint=check.fingerprint)
    )
    if isinstance(check.rule, WindowRule):
        state = _note_window(check.rule, state, verdict)

    match verdict.outcome:
        case Outcome.WAITING:
            return (_reset(state) if verdict.restarts else state), ()
        case Outcome.UNKNOWN:
            state = _reset(state) if verdict.restarts else state
            return _lose_sight(_remember(state, verdict), verdict, every)
        case Outcome.FAIL:
            state, seen = _see(_remember(state, verdict), verdict)
            state, opened = _fail(check, state, verdict)
            return state, (*seen, *opened)
        case Outcome.PASS:
            state, seen = _see(state, verdict)
            state, closed = _pass(check, state, verdict)
            return state, (*seen, *closed)


def adopt(check: Check, state: CheckState, now: datetime) -> CheckState:
    """Fit a state to the configuration as it is now.

    A changed request or rule restarts the counts; what is open or blind stays so until it closes
    by the new rule. A changed threshold keeps the counts and opens nothing by itself: the next
    fail does.
    """
    if state.fingerprint != check.fingerprint:
        state = replace(_restart(state), fingerprint=check.fingerprint, counted_since=now)

    match check.failure_threshold:
        case InARow():
            return _forget_recent(state) if state.recent else state
        case KOfN(n=n):
            return _keep_recent(state, n)


def begin_anew(check: Check, before: Check | None, now: datetime) -> CheckState | None:
    """Give the state of a window that came to mean something else before it was ever judged.

    Without it the next process would fill the window with samples of what it meant before. None
    where nothing has changed, or where counts alone remember.
    """
    if before is None or before.fingerprint == check.fingerprint:
        return None
    if not isinstance(check.rule, WindowRule):
        return None

    return CheckState(check=check.id, fingerprint=check.fingerprint, counted_since=now)


def settled(check: Check, state: CheckState) -> bool:
    """Whether a check is neither failing on its way to open, nor passing on its way to close.

    While it is not, its endpoint is probed at `retry_every`.
    """
    if state.fingerprint != check.fingerprint:
        return True

    return not (state.consecutive_passes if state.open else state.consecutive_failures)


def all_settled(checks: Iterable[Check], states: Mapping[str, CheckState]) -> bool:
    """Whether each of some checks is; what is judged over a time takes no part in retries."""
    return all(
        state is None or settled(check, state)
        for check in checks
        if not isinstance(check.rule, OverTime)
        for state in (states.get(check.id),)
    )


def _note_window(rule: WindowRule, state: CheckState, verdict: Verdict) -> CheckState:
    """Remember until when windows were judged, and those that are no part of a baseline."""
    state = replace(state, window_end=verdict.at)
    baseline = baseline_of(rule)
    if baseline is None or verdict.outcome is not Outcome.FAIL:
        return state

    span = (verdict.since or verdict.at, verdict.at)

    return replace(state, failed_windows=leave_out(baseline, state.failed_windows, span))


def _remember(state: CheckState, verdict: Verdict) -> CheckState:
    return replace(
        state,
        last_outcome=verdict.outcome,
        last_at=verdict.at,
        last_reasons=verdict.reasons,
    )


def _restart(state: CheckState) -> CheckState:
    """Forget all that was known of a check, save that an open or flapping one stays so."""
    shown = Outcome.FAIL if state.open else Outcome.UNKNOWN
    openings = state.openings if state.flapping else ()

    return replace(
        _reset(state), state=shown, judged=0, window_end=None, openings=openings, failed_windows=()
    )


def _reset(state: CheckState) -> CheckState:
    """Count anew; an open check keeps its start."""
    return replace(
        state,
        consecutive_failures=0,
        consecutive_passes=0,
        recent=(),
        recent_fails=(),
        failing_since=state.failing_since if state.open else None,
    )


def _fail(check: Check, state: CheckState, verdict: Verdict) -> Advance:
    began = verdict.since or verdict.at
    state = replace(
        state,
        consecutive_failures=state.consecutive_failures + 1,
        consecutive_passes=0,
        judged=state.judged + 1,
        failing_since=state.failing_since or began,
    )
    if state.open:
        return settle(state, verdict)

    state = _count_recent(check.failure_threshold, state, began)
    if not crossed(check.failure_threshold, state):
        return state, ()

    state = note_opening(check.flapping_threshold, state, verdict.at)
    opened = CheckEvent(
        change=Change.OPENED,
        check=check.id,
        at=verdict.at,
        since=state.failing_since or began,
        failures=state.consecutive_failures,
        reasons=verdict.reasons,
        flapping=state.flapping,
    )

    return replace(state, state=Outcome.FAIL), (opened,)


def _pass(check: Check, state: CheckState, verdict: Verdict) -> Advance:
    if not state.open:
        state = _count_recent(check.failure_threshold, _go_on_passing(state, verdict), None)
        return settle(state, verdict)

    state = replace(
        _remember(state, verdict),
        consecutive_failures=0,
        consecutive_passes=state.consecutive_passes + 1,
        judged=state.judged + 1,
    )
    if state.consecutive_passes < check.success_threshold:
        return state, ()

    state = note_closing(state, verdict.at)
    closed = CheckEvent(
        change=Change.PAUSED if state.flapping else Change.CLOSED,
        check=check.id,
        at=verdict.at,
        since=state.failing_since or verdict.at,
        reasons=verdict.reasons,
        flapping=state.flapping,
    )

    return (
        replace(state, state=Outcome.PASS, failing_since=None, recent=(), recent_fails=()),
        (closed,),
    )


def _go_on_passing(state: CheckState, verdict: Verdict) -> CheckState:
    """Count a pass of a check that is not open, as nearly every verdict is.

    What is kept is written out, which takes half the time of replacing the rest: no fail is in a
    row any more, and who judges is not blind.
    """
    return CheckState(
        check=state.check,
        fingerprint=state.fingerprint,
        state=Outcome.PASS,
        consecutive_passes=state.consecutive_passes + 1,
        recent=state.recent,
        recent_fails=state.recent_fails,
        window_end=state.window_end,
        judged=state.judged + 1,
        last_outcome=verdict.outcome,
        last_at=verdict.at,
        last_reasons=verdict.reasons,
        openings=state.openings,
        flapping=state.flapping,
        counted_since=state.counted_since,
        failed_windows=state.failed_windows,
    )


def _count_recent(
    threshold: FailureThreshold, state: CheckState, began: datetime | None
) -> CheckState:
    """Remember a verdict for K of N; `began` is when a fail began, None for a pass.

    The streak then starts at the oldest fail that is remembered.
    """
    if isinstance(threshold, InARow):
        return state

    state = replace(
        state,
        recent=(*state.recent, began is not None),
        recent_fails=(*state.recent_fails, began) if began else state.recent_fails,
    )

    return _keep_recent(state, threshold.n)


def _forget_recent(state: CheckState) -> CheckState:
    """Count in a row from now on: what fails has done so since the last pass."""
    since = state.failing_since
    if not state.open:
        in_a_row = state.recent_fails[-state.consecutive_failures or len(state.recent_fails) :]
        since = in_a_row[0] if in_a_row else None

    return replace(state, recent=(), recent_fails=(), failing_since=since)


def _keep_recent(state: CheckState, n: int) -> CheckState:
    """Keep the last N verdicts; a check that counted in a row until now brings its fails along."""
    if state.open:
        return state

    recent, fails = state.recent[-n:], state.recent_fails
    if not recent and state.consecutive_failures and state.failing_since:
        recent = (True,) * min(state.consecutive_failures, n)
        fails = (state.failing_since,) * len(recent)

    fails = fails[len(fails) - sum(recent) :]

    return replace(
        state,
        recent=recent,
        recent_fails=fails,
        failing_since=fails[0] if fails else None,
    )


def _lose_sight(state: CheckState, verdict: Verdict, every: timedelta) -> Advance:
    """Count an unknown; three intervals of them are blindness, and then nothing is known.

    One window may be as long as that.
    """
    began = verdict.since or verdict.at
    since = min(state.unknown_since or began, began)
    state = replace(state, consecutive_unknown=state.consecutive_unknown + 1, unknown_since=since)
    long_enough = verdict.at - since >= (BLIND_AFTER_INTERVALS - _JITTER) * every
    often_enough = (
        state.consecutive_unknown >= BLIND_AFTER_INTERVALS
        or verdict.at - began >= BLIND_AFTER_INTERVALS * every
    )
    if state.blind or not long_enough or not often_enough:
        return state, ()

    blind = CheckEvent(
        change=Change.WENT_BLIND,
        check=state.check,
        at=verdict.at,
        since=since,
        reasons=verdict.reasons,
    )
    shown = Outcome.FAIL if state.open else Outcome.UNKNOWN

    return replace(state, blind=True, state=shown), (blind,)


def _see(state: CheckState, verdict: Verdict) -> Advance:
    """Take note that a check was judged again."""
    if not state.consecutive_unknown:
        return state, ()

    seen = replace(state, consecutive_unknown=0, unknown_since=None, blind=False)
    if not state.blind:
        return seen, ()

    again = CheckEvent(
        change=Change.SEES_AGAIN,
        check=state.check,
        at=verdict.at,
        since=state.unknown_since or verdict.at,
        reasons=verdict.reasons,
    )

    return seen, (again,)
