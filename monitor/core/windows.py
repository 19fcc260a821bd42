"""Windows: samples between two ticks of the clock, judged once when a window closes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar, assert_never

from monitor.core.baselines import (
    baseline_of,
    explain,
    keep,
    known,
    limit_of,
    needed,
    show_sample,
)
from monitor.core.expectations import compile_expectation
from monitor.core.expectations.record import Each
from monitor.core.lateness import is_timely
from monitor.core.model.endpoint import (
    LatencyRule,
    OnInsufficient,
    Sample,
    ValueWindowRule,
    WindowRule,
)
from monitor.core.model.observation import Code
from monitor.core.model.verdict import Outcome, Reason, Verdict
from monitor.core.values import is_healthy, wanted_of
from monitor.options import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.core.baselines import Frozen, History
    from monitor.core.model.check_state import Span
    from monitor.core.model.endpoint import Baseline
    from monitor.core.model.observation import Observation

Measure = TypeVar("Measure", timedelta, float, Sample)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The samples of the window that is open now; at most one for each scheduled probe in it.

    `start` is None before the first probe. `asked` counts the scheduled probes of the window,
    with or without a sample. `partial` marks a window that was not watched all the time;
    `away_until` is until when it was not. `void` marks one in which the clock was set: it says
    nothing. `history` is what was found in earlier windows, for a baseline. `silence` says why
    nobody gave a sample at last, and `silent_since` when that was so first.
    """

    start: datetime | None = None
    samples: tuple[Sample, ...] = ()
    asked: int = 0
    partial: bool = False
    away_until: datetime | None = None
    void: bool = False
    history: History = ()
    silence: Reason | None = None
    silent_since: datetime | None = None


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


def _never(_end: datetime) -> datetime | None:
    """Say that a baseline moves along with time."""
    return None


def advance_window(
    rule: WindowRule,
    window: Window | None,
    sample: Sample | None,
    at: datetime,
    *,
    asked: bool = True,
    silence: Reason | None = None,
    frozen: Frozen = _never,
) -> tuple[Window, tuple[Verdict, ...]]:
    """Take one sample and judge the window that it closes; `at` is when its probe started.

    `asked` is False for what says nothing about the target: a retry, the monitor's own fault. At
    most two verdicts come back: one for the window that was open, one for all windows in which
    nothing was asked since. They rest on `since` to `at`, the bounds of the window. `silence` says
    why nobody gave a sample. `frozen` says since when a baseline stands still.
    """
    start = _floor(at, rule.window)
    if window is None or window.start is None:
        first = replace(window or Window(), start=start, partial=True)
        return _note_silence(_add(first, sample, asked), silence, at), ()

    if start == window.start:
        return _note_silence(_add(window, sample, asked), silence, at), ()

    if start < window.start:
        return _go_back(rule, window, sample, start, asked=asked), ()

    away = window.away_until is not None and window.away_until > start
    since = frozen(window.start + rule.window) if baseline_of(rule) else None
    verdicts = [] if window.void else [_judge(rule, window, window.start, since)]
    history = _learn(rule, window, verdicts, since)
    end = window.start + rule.window
    if end < start:
        verdicts.append(_insufficient(rule, Window(), end, start))

    opened = Window(start=start, partial=away, history=history)

    return _note_silence(_add(opened, sample, asked), silence, at), tuple(verdicts)


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
    *,
    now: datetime | None = None,
    since: datetime | None = None,
    failed: Sequence[Span] = (),
) -> Window:
    """Rebuild the open window after a restart from stored scheduled samples, in any order.

    `window_end` is the end of the last window that was judged, None where none was: what is older
    was counted already. Of the rest only the newest window can still be open. Until `now` nobody
    knows for how long the monitor was away, so that too few samples are its own doing. What was
    seen up to `since` is of something else; `failed` are the spans of windows that failed.
    """
    stored = sorted(one for one in samples if since is None or one[0] > since)
    fresh = [(at, sample) for at, sample in stored if window_end is None or at >= window_end]
    if not fresh:
        start = _floor(window_end, rule.window) if window_end else None
        history = _learn_again(rule, stored, start, failed)
        return Window(start=start, partial=True, away_until=now, history=history)

    start = max(_floor(at, rule.window) for at, _ in fresh)
    kept = tuple(sample for at, sample in fresh if at >= start)

    return Window(
        start=start,
        samples=kept,
        asked=len(kept),
        partial=True,
        away_until=now,
        history=_learn_again(rule, stored, start, failed),
    )


def _learn_again(
    rule: WindowRule,
    samples: list[tuple[datetime, Sample]],
    start: datetime | None,
    failed: Sequence[Span],
) -> History:
    """Give what was found in the windows before the open one, save in those that failed."""
    if baseline_of(rule) is None or start is None:
        return ()

    windows: dict[datetime, list[Sample]] = {}
    for at, sample in samples:
        windows.setdefault(_floor(at, rule.window) + rule.window, []).append(sample)

    return tuple(
        [
            (end, nearest_rank(found, rule.percentile))
            for end, found in windows.items()
            if end <= start and len(found) >= max(rule.min_samples, 1)
            if not any(first < end <= last for first, last in failed)
        ]
    )


def _learn(
    rule: WindowRule, window: Window, verdicts: Sequence[Verdict], frozen: datetime | None
) -> History:
    """Add what was found in a window to the baseline, unless it was a failure or said nothing."""
    baseline = baseline_of(rule)
    if baseline is None:
        return ()

    assert window.start is not None
    end = window.start + rule.window
    history = keep(baseline, window.history, end, frozen)
    said_nothing = len(window.samples) < max(rule.min_samples, 1)
    if said_nothing or any(verdict.outcome is Outcome.FAIL for verdict in verdicts) or not verdicts:
        return history

    return (*history, (end, nearest_rank(window.samples, rule.percentile)))


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


def _note_silence(window: Window, silence: Reason | None, at: datetime) -> Window:
    if silence is None:
        return window

    return replace(window, silence=silence, silent_since=window.silent_since or at)


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


def _judge(rule: WindowRule, window: Window, start: datetime, frozen: datetime | None) -> Verdict:
    end = start + rule.window
    if len(window.samples) < max(rule.min_samples, 1):
        return _insufficient(rule, window, start, end)

    baseline = baseline_of(rule)
    if baseline is None:
        return _judge_by_limit(rule, window.samples, start)

    history = known(baseline, window.history, end, frozen)
    enough = needed(baseline, rule.window)
    if len(history) < enough:
        note = f"learning what is usual: {len(history)} of {enough} windows"
        return Verdict(outcome=Outcome.WAITING, at=end, since=start, note=note)

    return _judge_by_baseline(rule, baseline, history, window.samples, start)


def _judge_by_limit(rule: WindowRule, samples: Sequence[Sample], start: datetime) -> Verdict:
    end = start + rule.window
    found = nearest_rank(samples, rule.percentile)
    note = f"{_name(rule)} {show_sample(found)}, {len(samples)} samples"
    if _is_healthy(rule, found):
        return Verdict(outcome=Outcome.PASS, at=end, since=start, note=note)

    return Verdict(
        outcome=Outcome.FAIL,
        at=end,
        since=start,
        note=note,
        reasons=(_too_bad(rule, found, len(samples)),),
    )


def _judge_by_baseline(
    rule: WindowRule,
    baseline: Baseline,
    history: History,
    samples: Sequence[Sample],
    start: datetime,
) -> Verdict:
    """Judge by the limit that follows from what is usual, and say so."""
    verdict = _judge_by_limit(_with_limit(rule, limit_of(baseline, history)), samples, start)
    why = explain(baseline, history)

    return replace(
        verdict,
        note=f"{verdict.note}, {why}",
        reasons=tuple([replace(one, message=f"{one.message} ({why})") for one in verdict.reasons]),
    )


def _with_limit(rule: WindowRule, limit: Sample) -> WindowRule:
    """Give a rule with a limit of its own instead of a baseline."""
    if isinstance(rule, LatencyRule):
        assert isinstance(limit, timedelta)
        return replace(rule, limit=limit)

    assert not isinstance(limit, timedelta)
    (requirement,) = rule.expectation.requirements
    assert isinstance(requirement, Each)
    whole = int(limit) if float(limit).is_integer() else limit
    raw = {"value": {requirement.condition.operator.value: whole}}
    (compared,) = compile_expectation(raw, rule.at)

    return replace(
        rule,
        limit=None,
        expectation=replace(rule.expectation, requirements=compared.requirements),
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
    if silence := _silence_of(rule, window):
        resets = rule.on_insufficient is OnInsufficient.RESET
        since, why = window.silent_since, (silence,)
        return replace(waiting, outcome=Outcome.UNKNOWN, since=since, reasons=why, restarts=resets)

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


def _silence_of(rule: WindowRule, window: Window) -> Reason | None:
    """Say why nobody answered in a whole window, where no check of health tells of that."""
    alone = isinstance(rule, ValueWindowRule) and not rule.beside_health

    return window.silence if alone and not window.asked else None


def _too_bad(rule: WindowRule, found: Sample, samples: int) -> Reason:
    if isinstance(rule, LatencyRule):
        assert isinstance(found, timedelta)
        assert isinstance(rule.limit, timedelta)
        limit, shown = format_duration(rule.limit), format_duration(found)
        if shown == limit and found != rule.limit:
            shown = f"{found / timedelta(milliseconds=1)}ms"
        expected = f"{'at most' if rule.inclusive else 'less than'} {limit}"
    else:
        shown, expected = show_sample(found), wanted_of(rule.expectation)

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
