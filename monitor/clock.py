"""The time that decides: it goes on evenly until it is looked at whether the clock was set."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from monitor.core.clock_set import direction
from monitor.logs import Log
from monitor.options import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable

_log = Log()

JUMP: Final = timedelta(seconds=1)
"""By how much the wall clock may leave the monotonic one between two looks before it was set."""

ABSENCE: Final = timedelta(seconds=2)
"""So long without a look, which is due each second, this process stood still."""

_JUMP: Final = JUMP.total_seconds()
_ABSENCE: Final = ABSENCE.total_seconds()
_NOTHING: Final = timedelta()
_INSTANT: Final = 0.05
_TRIES: Final = 100


class Clock(Protocol):
    """What tells the time; `follow` is the only moment at which it may jump."""

    def __call__(self) -> datetime:
        """Give the time, UTC."""
        ...

    def follow(self) -> timedelta:
        """Follow the wall clock; give by how much it was set since the last look."""
        ...

    def earliest(self, lasting: timedelta) -> datetime:
        """Give the time that it is at least, by all that the clock showed for so long."""
        ...


class SteadyClock:
    """The wall clock as it was when it was last looked at, carried on by the monotonic one.

    Between two looks, which are the moments when everything else can be set as well, no two
    readings differ by more than the time that passed. A clock that is slewed is followed silently.
    """

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._offset = self._measure()
        self._earlier: list[tuple[float, float]] = []  # until when, and how far off; both rising

    def __call__(self) -> datetime:
        """Give the time, UTC."""
        return datetime.fromtimestamp(self._steady() + self._offset, UTC)

    def follow(self) -> timedelta:
        """Follow the wall clock; give by how much it was set since the last look."""
        before = self._offset
        self._offset = now = self._measure()
        if -_JUMP <= now - before <= _JUMP:
            return _NOTHING

        self._note(before)

        return timedelta(seconds=now - before)

    def earliest(self, lasting: timedelta) -> datetime:
        """Give the time by the lowest reading that held within so long.

        What is older than `lasting` by this time is older by the monotonic clock, too, whatever
        the wall clock did: no record was ever written with an earlier time than it shows.
        """
        now = self._steady()
        held = (off for until, off in self._earlier if now - until <= lasting.total_seconds())
        lowest = min((self._offset, *held))

        return datetime.fromtimestamp(now + lowest, UTC)

    def believe_written(self, known: datetime) -> None:
        """Take the newest time that was written by an earlier process for the true one, too."""
        self._note(known.timestamp() - self._steady())

    def _note(self, offset: float) -> None:
        """Remember what held until now; a higher one before it never matters any more."""
        self._earlier = [one for one in self._earlier if one[1] < offset]
        self._earlier.append((self._steady(), offset))

    def _measure(self) -> float:
        """Give wall minus monotonic, of a moment in which this process was not held up."""
        tries = 0
        while True:
            before = self._steady()
            wall = self._wall()
            after = self._steady()
            tries += 1
            if after - before < _INSTANT or tries == _TRIES:
                return wall - (before + after) / 2


class ClockWatch:
    """Notices that the clock was set, or that this process stood still, before anything is decided.

    `on_set` takes over a clock that was set, by so much; `on_absence` that nobody watched until
    now. `stalled_since` is what the scheduler knows of shorter stops.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        stalled_since: Callable[[float], bool],
        on_set: Callable[[timedelta], None],
        on_absence: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._stalled_since = stalled_since
        self._on_set = on_set
        self._on_absence = on_absence
        self._monotonic = monotonic
        self._set_at = float("-inf")
        self._looked: float | None = None

    def look(self) -> None:
        """Look at the clock; due each second, and before each judgement."""
        now = self._monotonic()
        before, self._looked = self._looked, now
        by = self._clock.follow()
        if by:
            self._set_at = now
            _log.warning("clock_set", by=f"{format_duration(abs(by))} {direction(by)}")
            self._on_set(by)
        if before is not None and now - before > _ABSENCE:
            self._on_absence()

    def disturbance(self, started: float) -> str:
        """Say what makes worthless what was seen since a monotonic time; empty where nothing."""
        self.look()
        if self._set_at >= started:
            return "the clock was set during this probe"
        if self._stalled_since(started):
            return "the monitor itself stood still for more than a second during this probe"

        return ""
