"""Baselines: what a window of samples usually is, and the limit that follows from it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import show
from monitor.core.model.endpoint import Baseline
from monitor.options import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from monitor.core.model.check_state import Span
    from monitor.core.model.endpoint import Sample, WindowRule

    History = tuple[tuple[datetime, Sample], ...]
    """The ends of earlier windows, oldest first, and what was found in them."""

    Frozen = Callable[[datetime], datetime | None]
    """Says since when a baseline stands still at a time, if it does."""

LEEWAY: Final = timedelta(days=1)
"""A baseline may come to stand still as of some time ago: so much longer its windows are kept."""

_ENOUGH: Final = 100
"""So many windows say what is usual; of a shorter time, half of those that it holds."""

_LARGEST_WHOLE: Final = 10**15


def baseline_of(rule: WindowRule) -> Baseline | None:
    """Give the baseline that a rule compares with, if any."""
    limit = rule.limit

    return limit if isinstance(limit, Baseline) else None


def needed(baseline: Baseline, window: timedelta) -> int:
    """Give how many earlier windows it takes."""
    return min(_ENOUGH, max(1, baseline.over // window // 2))


def known(
    baseline: Baseline, history: History, end: datetime, frozen: datetime | None = None
) -> History:
    """Give the windows that say what is usual at a time, or did when it came to stand still."""
    until = _as_of(baseline, end, frozen)

    return tuple([one for one in history if until - baseline.over < one[0] <= until])


def keep(
    baseline: Baseline, history: History, end: datetime, frozen: datetime | None = None
) -> History:
    """Keep the windows that may still say what is usual."""
    since = _as_of(baseline, end, frozen) - baseline.over - LEEWAY

    return tuple([one for one in history if one[0] > since])


def reach(
    baseline: Baseline, window: timedelta, now: datetime, frozen: datetime | None
) -> datetime:
    """Give since when samples are needed to learn again what is usual."""
    return _as_of(baseline, now, frozen) - baseline.over - LEEWAY - window


def leave_out(baseline: Baseline, spans: tuple[Span, ...], span: Span) -> tuple[Span, ...]:
    """Remember one more window that failed, as long as it may matter; neighbours become one."""
    since = span[1] - 2 * baseline.over - LEEWAY
    recent = tuple([one for one in spans if one[1] > since])
    if recent and recent[-1][1] == span[0]:
        return (*recent[:-1], (recent[-1][0], span[1]))

    return (*recent, span)


def usual(history: History) -> Sample:
    """Give the median of what was found: always an observed one, the lower of two."""
    found: list[Sample] = sorted(one for _, one in history)

    return found[(len(found) - 1) // 2]


def limit_of(baseline: Baseline, history: History) -> Sample:
    """Give the limit that follows from what is usual."""
    found, plus = usual(history), baseline.plus
    if isinstance(found, timedelta):
        return found * baseline.factor + (plus if isinstance(plus, timedelta) else timedelta())

    return found * baseline.factor + (0 if isinstance(plus, timedelta) else plus)


def explain(baseline: Baseline, history: History) -> str:
    """Say in words where a limit comes from."""
    plus = f" plus {show_sample(baseline.plus)}" if baseline.plus else ""

    return f"{baseline.factor:g} times the usual {show_sample(usual(history))}{plus}"


def show_sample(found: Sample) -> str:
    """Write a sample; a whole number was kept as a fraction."""
    if isinstance(found, timedelta):
        return format_duration(found)

    whole = float(found).is_integer() and abs(found) < _LARGEST_WHOLE

    return show(int(found) if whole else found)


def _as_of(baseline: Baseline, end: datetime, frozen: datetime | None) -> datetime:
    """Give until when windows count: a baseline stands still for as long as it looks back."""
    if frozen is None or end - frozen > baseline.over:
        return end

    return min(end, frozen)
