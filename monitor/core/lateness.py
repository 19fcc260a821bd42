"""When the monitor itself was late, and what may then not be said of a target."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Code, Fault
from monitor.options import format_duration

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

_LITTLE: Final = timedelta(milliseconds=100)
_HELD_UP: Final = timedelta(seconds=1)


def is_timely(observation: Observation) -> bool:
    """Say whether the duration tells of the target, rather than of the monitor.

    Late for a moment is everybody: then an answer that took as long was quick all the same.
    """
    return observation.late < _LITTLE or not _was_mostly_late(observation)


def excuse(observation: Observation, late: timedelta) -> Observation:
    """Note how late we were; a timeout is ours where that was most of what the target had."""
    if not late:
        return observation

    seen = replace(observation, late=late)
    fault = observation.fault
    if fault is None or fault.own or not _was_mostly_late(seen):
        return seen
    if fault.code is not Code.TIMEOUT and not fault.of_time:
        return seen

    message = blame_lateness(late, fault.message)

    return replace(seen, fault=Fault(code=Code.INTERNAL, message=message, own=True))


def find_held_up(overdue: timedelta) -> Fault | None:
    """Blame ourselves for a timeout that came so much after its time, if that is long.

    This is all that a probe knows by itself, and all there is where one is made by hand. Where
    many are made, the lag of the loop and the scheduler tell more.
    """
    if overdue <= _HELD_UP:
        return None

    late = format_duration(overdue)
    message = f"the monitor itself was held up: its timeout came {late} late"

    return Fault(code=Code.INTERNAL, message=message, own=True)


def blame_lateness(late: timedelta, message: str) -> str:
    """Say that we were late for so much of it, and what that looked like."""
    return f"the monitor itself was late for {format_duration(late)} of it ({message})"


def _was_mostly_late(observation: Observation) -> bool:
    return observation.late * 2 >= observation.duration
