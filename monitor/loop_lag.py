"""How much of the time the event loop is late: what it measures then says little of others."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from time import monotonic
from typing import Final, Self

EVERY: Final = timedelta(milliseconds=20)
"""How often it is measured, as long as somebody wants to know."""

TOLERATED: Final = timedelta(milliseconds=20)
"""A beat that is later than this was held up: by want of CPU, or by work of our own."""


_NONE: Final = timedelta()


class LoopLag:
    """A timer that goes off regularly, and the sum of how late it was."""

    def __init__(self) -> None:
        self._listeners = 0
        self._due = 0.0
        self._lost = 0.0
        self._next: asyncio.TimerHandle | None = None

    def measured(self) -> Lateness:
        """Measure it during a block; afterwards the total is known."""
        return Lateness(self)

    def begin(self) -> float:
        """Measure it until `end` is told what this gives."""
        if not self._listeners:
            self._set()
        self._listeners += 1

        return self._lost

    def end(self, began: float) -> float:
        """Give for how many seconds it was late since then."""
        self._listeners -= 1
        if not self._listeners and self._next is not None:
            self._next.cancel()

        return self._lost - began + self._overdue()

    def _set(self) -> None:
        self._due = monotonic() + EVERY.total_seconds()
        self._next = asyncio.get_running_loop().call_later(EVERY.total_seconds(), self._beat)

    def _beat(self) -> None:
        self._lost += self._overdue()
        self._set()

    def _overdue(self) -> float:
        late = monotonic() - self._due

        return late if late > TOLERATED.total_seconds() else 0.0


class Lateness:
    """For how long the loop was late in a block, once that is over.

    A class rather than a generator: each probe has one.
    """

    __slots__ = ("_began", "_lag", "total")

    def __init__(self, lag: LoopLag) -> None:
        self._lag = lag
        self._began = 0.0
        self.total = _NONE

    def __enter__(self) -> Self:
        self._began = self._lag.begin()
        return self

    def __exit__(self, *_raised: object) -> None:
        late = self._lag.end(self._began)
        self.total = timedelta(seconds=late) if late else _NONE
