"""Flapping: a check that opens again and again is told of once, until it has settled."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Final

from monitor.core.model.check_state import Change, CheckEvent, Flapping

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.check_state import CheckState
    from monitor.core.model.verdict import Verdict

WITHIN: Final = timedelta(hours=1)
PASSES_FOR: Final = timedelta(minutes=30)
"""So long without an opening, and it has settled."""

_RECORDED: Final = ((50, 1), (1_000, 50), (inf, 1_000))
"""Up to how many openings which of them are recorded: each, then every fiftieth, and so on."""

FAILS_FOR: Final = timedelta(minutes=10)
"""So long without closing, longer than it did while it flapped, and it fails for good."""


def note_opening(most: int | None, state: CheckState, at: datetime) -> CheckState:
    """Remember an opening; with more than `most` in an hour the check is flapping.

    The first ones are part of it. None is no limit: then only what flaps already goes on.
    """
    known = [one for one in state.openings if at - WITHIN < one <= at]
    openings = () if most is None else (*known, at)[-(most + 1) :]
    flapping = state.flapping
    if flapping is not None:
        flapping = replace(flapping, openings=flapping.openings + 1, turned_at=at)
    elif most is not None and len(openings) > most:
        flapping = Flapping(since=openings[0], openings=len(openings), turned_at=at)

    return replace(state, openings=openings, flapping=flapping)


def note_closing(state: CheckState, at: datetime) -> CheckState:
    """Remember when a check closed that is flapping."""
    if state.flapping is None:
        return state

    return replace(state, flapping=replace(state.flapping, turned_at=at))


def is_recorded(flapping: Flapping) -> bool:
    """Whether a turn is a line in the timeline, which has to stay short enough to be kept."""
    return any(
        flapping.openings <= so_far and flapping.openings % nth == 0 for so_far, nth in _RECORDED
    )


def settle(state: CheckState, verdict: Verdict) -> tuple[CheckState, tuple[CheckEvent, ...]]:
    """Let a check that did not turn with this verdict stop flapping, once that is long enough."""
    flapping = state.flapping
    if flapping is None:
        return state, ()
    if verdict.at - flapping.turned_at < (FAILS_FOR if state.open else PASSES_FOR):
        return state, ()

    settled = CheckEvent(
        change=Change.SETTLED if state.open else Change.CLOSED,
        check=state.check,
        at=verdict.at,
        since=state.failing_since or flapping.turned_at,
        failures=state.consecutive_failures,
        reasons=verdict.reasons,
    )

    return replace(state, flapping=None), (settled,)
