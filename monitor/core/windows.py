"""Windows: samples between two ticks of the clock, judged once when a window closes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar, assert_never

from monitor.core.baselines import explain, limit_of, needed, recent
from monitor.core.expectations.shown import show
from monitor.core.lateness import is_timely
from monitor.core.model.endpoint import Baseline, LatencyRule, OnInsufficient, WindowRule
from monitor.core.model.observation import Code
from monitor.core.model.verdict import Outcome, Reason, Verdict
from monitor.core.values import is_healthy, wanted_of
from monitor.options import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.core.baselines import History
    from monitor.core.model.observation import Observation

Sample = timedelta | float
Measure = TypeVar("Measure", timedelta, float, Sample)

_LARGEST_WHOLE: Final = 10**15
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The samples of the window that is open now; at most one for each scheduled probe in it.

    `start` is None before the first probe. `asked` counts the scheduled probes of the window,
    with or without a sample. `partial` marks a window that was not watched all the time;
    `away_until` is until when it was not. `void` marks one in which the clock was set: it says
    nothing. `history` is what was found in earlier windows, for a baseline.
    """

    start: datetime | None = None
    samples: tuple[Sample, ...] = ()
    asked: int = 0
    partial: bool = False
    away_until: datetime | None = None
    void: bool = False
    history: History = ()


def latency_sample(observation: Observation, timeout: timedelta) -> timedelta | None:
    """Give what enters the windows: the duration of an answer, at least the timeout for a timeout.

    None where it is a matter of availability rather than of latency (nothing connected, no
    complete answer, a status of 5xx), and for the monitor's own fault or lateness.
    """
    if not is_timely(observation):
        return None

    fault = observation.fault
    if fault is not None and (fault.own or fault.code is not Code.TIMEOUT):
        return None

    if observation.status is not None and observation.status >= 500:
        return None

    return observation.duration if fault is None else max(observation.duration, timeout)


def advance_window(
    rule: WindowRule,
    window: Window | None,
    sample: Sample | None,
    at: datetime,
    *,
    asked: bool = True,
) -> tuple[Window, tuple[Verdict, ...]]:
    """Take one sample and judge the window that it closes; `at` is when its probe started.

    `asked` is False for what says nothing about the target: a retry, the monitor's own fault. At
    most two verdicts come back: one for the window that was open, one for all windows in which
    nothing was asked since. They rest on `since` to `at`, the bounds of the window.
    """
    start = _floor(at, rule.window)
    if window is None or window.start is None:
        first = replace(window or Window(), start=start, partial=True)
        return _add(first, sample, asked), ()

    if start == window.start:
        return _add(window, sample, asked), ()

    if start < window.start:
        return _go_back(rule, window, sample, start, asked=asked), ()

    away = window.away_until is not None and window.away_until > start
    verdicts = [] if window.void else [_judge(rule, window, window.start)]
    history = _learn(rule, window, verdicts)
    end = window.start + rule.window
    if end < start:
        verdicts.append(_insufficient(rule, Window(), end, start))

    opened = Window(start=start, partial=away, history=history)

    return _add(opened, sample, asked), tuple(verdicts)


def begin_anew(history: History = (), by: timedelta = timedelta()) -> Window:
    """Give the window that follows when the clock is set: it ends with the clock, unjudged.

    What the clock jumped over was no time, and a window that comes again was judged already. What
    is usual stays, and moves along.
    """
    return Window(void=True, history=tuple([(end + by, found) for end, found in history]))


def note_absence(window: Window, until: datetime) -> Window:
    """Note that the monitor did not watch until now: too few samples are its own doing."""
    return replace(window, partial=True, away_until=until)


def restore(
    rule: WindowRule,
    samples: Iterable[tuple[datetime, Sample]],
    window_end: datetime | None,
) -> Window:
    """Rebuild the open window after a restart from stored scheduled samples, in any order.

    `window_end` is the end of the last window that was judged, None where none was: what is older
    was counted already. Of the rest only the newest window can still be open.
    """
    known = sorted(samples)
    fresh = [(at, sample) for at, sample in known if window_end is None or at >= window_end]
    if not fresh:
        start = _floor(window_end, rule.window) if window_end else None
        return Window(start=start, partial=True, history=_learn_again(rule, known, start))

    start = max(_floor(at, rule.window) for at, _ in fresh)
    kept = tuple(sample for at, sample in fresh if at >= start)
    partial = window_end is None or window_end < start

    return Window(
        start=start,
        samples=kept,
        asked=len(kept),
        partial=partial,
        history=_learn_again(rule, known, start),
    )


def _learn_again(
    rule: WindowRule, samples: list[tuple[datetime, Sample]], start: datetime | None
) -> History:
    """Judge what is stored of earlier windows once more, for what they say of the usual."""
    if not isinstance(rule, LatencyRule) or not isinstance(rule.limit, Baseline) or start is None:
        return ()

    window: Window | None = None
    for at, sample in samples:
        if at < start:
            window, _ = advance_window(rule, window, sample, at)
    if window is None:
        return ()

    closing, _ = advance_window(rule, window, None, start, asked=False)

    return closing.history


def _learn(rule: WindowRule, window: Window, verdicts: Sequence[Verdict]) -> History:
    """Add what was found in a window to the baseline, unless it was a failure or said nothing."""
    if not isinstance(rule, LatencyRule) or not isinstance(rule.limit, Baseline):
        return ()

    assert window.start is not None
    end = window.start + rule.window
    history = recent(rule.limit, window.history, end)
    said_nothing = len(window.samples) < max(rule.min_samples, 1)
    if said_nothing or any(verdict.outcome is Outcome.FAIL for verdict in verdicts) or not verdicts:
        return history

    found = nearest_rank(window.samples, rule.percentile)
    assert isinstance(found, timedelta)

    return (*history, (end, found))


def window_progress(rule: WindowRule, window: Window) -> tuple[int, int]:
    """Give how many samples the open window has, and how many it needs to be judged."""
    return len(window.samples), rule.min_samples


def end_of(rule: WindowRule, at: datetime) -> datetime:
    """Give when the window that is open at a time ends, and is judged by the next sample."""
    return _floor(at, rule.window) + rule.window


def nearest_rank(samples: Sequence[Measure], percentile: int) -> Measure:
    """Give the smallest sample that at least `percentile` % do not exceed: always an observed one.

    `percentile` is 0, for the smallest of all, to 100, and there is at least one sample.
    """
    rank = max(1, -(-percentile * len(samples) // 100))

    return sorted(samples)[rank - 1]


def _floor(at: datetime, length: timedelta) -> datetime:
    """Give the last tick of the clock at or before a time; ticks count from the epoch, UTC."""
    return at - (at - _EPOCH) % length


def _add(window: Window, sample: Sample | None, asked: bool) -> Window:
    if sample is None:
        return replace(window, asked=window.asked + 1) if asked else window

    return replace(window, samples=(*window.samples, sample), asked=window.asked + 1)


def _go_back(
    rule: WindowRule,
    window: Window,
    sample: Sample | None,
    start: datetime,
    *,
    asked: bool,
) -> Window:
    """Leave out a sample that comes too late; begin anew where the clock was set back for good.

    Nothing is judged then: a jump of the clock moves no counter.
    """
    assert window.start is not None
    if start >= window.start - rule.window:
        return window

    return _add(Window(start=start, partial=True, history=window.history), sample, asked)


def _judge(rule: WindowRule, window: Window, start: datetime) -> Verdict:
    end = start + rule.window
    if len(window.samples) < max(rule.min_samples, 1):
        return _insufficient(rule, window, start, end)
    if isinstance(rule, LatencyRule) and isinstance(rule.limit, Baseline):
        return _judge_by_baseline(rule, rule.limit, window, start)

    found = nearest_rank(window.samples, rule.percentile)
    samples = len(window.samples)
    note = f"{_name(rule)} {_show(found)}, {samples} samples"
    if _is_healthy(rule, found):
        return Verdict(outcome=Outcome.PASS, at=end, since=start, note=note)

    return Verdict(
        outcome=Outcome.FAIL,
        at=end,
        since=start,
        note=note,
        reasons=(_too_bad(rule, found, samples),),
    )


def _judge_by_baseline(
    rule: LatencyRule, baseline: Baseline, window: Window, start: datetime
) -> Verdict:
    """Judge by what is usual; as long as that is not known, wait."""
    end = start + rule.window
    history = recent(baseline, window.history, end)
    enough = needed(baseline, rule.window)
    if len(history) < enough:
        note = f"learning what is usual: {len(history)} of {enough} windows"
        return Verdict(outcome=Outcome.WAITING, at=end, since=start, note=note)

    fixed = replace(rule, limit=limit_of(baseline, history))
    verdict = _judge(fixed, window, start)
    why = explain(baseline, history)

    return replace(
        verdict,
        note=f"{verdict.note}, {why}",
        reasons=tuple([replace(one, message=f"{one.message} ({why})") for one in verdict.reasons]),
    )


def _is_healthy(rule: WindowRule, found: Sample) -> bool:
    if isinstance(rule, LatencyRule):
        assert isinstance(found, timedelta)
        assert isinstance(rule.limit, timedelta)
        return found <= rule.limit if rule.inclusive else found < rule.limit

    return is_healthy(rule.expectation, found)


def _insufficient(rule: WindowRule, window: Window, start: datetime, end: datetime) -> Verdict:
    """Judge a window that is short of samples.

    It fails only where the target was asked and the monitor was there from the start: an absence
    of the monitor is not the target's fault.
    """
    found = len(window.samples)
    waiting = Verdict(
        outcome=Outcome.WAITING,
        at=end,
        since=start,
        note=f"{found} of {rule.min_samples} samples",
    )
    match rule.on_insufficient:
        case OnInsufficient.HOLD:
            return waiting
        case OnInsufficient.RESET:
            return replace(waiting, restarts=True)
        case OnInsufficient.FAIL:
            if window.partial or not window.asked:
                return waiting

            reasons = (_too_few(rule, found),)
            return replace(waiting, outcome=Outcome.FAIL, note="", reasons=reasons)
        case _:
            assert_never(rule.on_insufficient)


def _too_bad(rule: WindowRule, found: Sample, samples: int) -> Reason:
    if isinstance(rule, LatencyRule):
        assert isinstance(found, timedelta)
        assert isinstance(rule.limit, timedelta)
        limit, shown = format_duration(rule.limit), format_duration(found)
        if shown == limit and found != rule.limit:
            shown = f"{found / timedelta(milliseconds=1)}ms"
        expected = f"{'at most' if rule.inclusive else 'less than'} {limit}"
    else:
        shown, expected = _show(found), wanted_of(rule.expectation)

    return Reason(
        code=Code.EXPECTATION,
        message=f"{_name(rule)} of {samples} {_samples(rule)} in {format_duration(rule.window)} is "
        f"{shown}, expected {expected}",
        expected=expected,
        found=shown,
        at=rule.at,
    )


def _too_few(rule: WindowRule, found: int) -> Reason:
    return Reason(
        code=Code.EXPECTATION,
        message=f"{found} {_samples(rule)} in {format_duration(rule.window)}, too few to judge "
        f"{_name(rule)}, expected at least {rule.min_samples}",
        expected=f"at least {rule.min_samples} samples",
        found=f"{found} samples",
        at=rule.at,
    )


def _show(found: Sample) -> str:
    """Write a sample; a whole number was kept as a fraction."""
    whole = isinstance(found, float) and found.is_integer() and abs(found) < _LARGEST_WHOLE

    return show(int(found) if whole and isinstance(found, float) else found)


def _samples(rule: WindowRule) -> str:
    return "answers" if isinstance(rule, LatencyRule) else "values"


def _name(rule: WindowRule) -> str:
    match rule.percentile:
        case 0:
            return "the minimum"
        case 100:
            return "the maximum"
        case percentile:
            return f"p{percentile}"
