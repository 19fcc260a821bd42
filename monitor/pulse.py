"""How much of the time the event loop is late: what it measures then says little of others."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY: Final = timedelta(milliseconds=20)
"""How often it is felt, as long as somebody wants to know."""

TOLERATED: Final = timedelta(milliseconds=20)
"""A beat that is later than this was held up: by want of CPU, or by work of our own."""


class Pulse:
    """A timer that goes off regularly, and the sum of how late it was."""

    def __init__(self) -> None:
        self._listeners = 0
        self._due = 0.0
        self._lost = 0.0
        self._next: asyncio.TimerHandle | None = None

    @contextmanager
    def felt(self) -> Iterator[Lateness]:
        """Feel it during a block; afterwards the total is known."""
        if not self._listeners:
            self._set()
        self._listeners += 1
        lateness = Lateness()
        began = self._lost
        try:
            yield lateness
        finally:
            lateness.total = timedelta(seconds=self._lost - began + self._overdue())
            self._listeners -= 1
            if not self._listeners and self._next is not None:
                self._next.cancel()

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
    """For how long the loop was late in a block, once that is over."""

    __slots__ = ("total",)

    def __init__(self) -> None:
        self.total = timedelta()
