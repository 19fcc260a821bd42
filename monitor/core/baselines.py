"""Baselines: what a window of latencies usually is, and the limit that follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.options import format_duration

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from monitor.core.model.endpoint import Baseline

    History = tuple[tuple[datetime, timedelta], ...]
    """The ends of earlier windows, oldest first, and what was found in them."""

_ENOUGH: Final = 100
"""So many windows say what is usual; of a shorter time, half of those that it holds."""


def needed(baseline: Baseline, window: timedelta) -> int:
    """Give how many earlier windows it takes."""
    return min(_ENOUGH, max(1, baseline.over // window // 2))


def recent(baseline: Baseline, history: History, end: datetime) -> History:
    """Keep the windows that ended within the time that a baseline looks back."""
    return tuple([one for one in history if one[0] > end - baseline.over])


def usual(history: History) -> timedelta:
    """Give the median of what was found: always an observed one, the lower of two."""
    return sorted(found for _, found in history)[(len(history) - 1) // 2]


def limit_of(baseline: Baseline, history: History) -> timedelta:
    """Give the limit that follows from what is usual."""
    return usual(history) * baseline.factor + baseline.plus


def explain(baseline: Baseline, history: History) -> str:
    """Say in words where a limit comes from."""
    plus = f" plus {format_duration(baseline.plus)}" if baseline.plus else ""

    return f"{baseline.factor:g} times the usual {format_duration(usual(history))}{plus}"
