"""Waits counted down on the monotonic clock, though they were given by the wall clock."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from monitor.core import outbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


class Waits:
    """Counts waits down on the monotonic clock: a wall clock that is set back delays nothing."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._ends: dict[datetime, float] = {}

    def left(self, until: datetime | None) -> float:
        """Give how many seconds are left of a wait, counted since it was first asked for."""
        if until is None:
            return 0.0

        if until not in self._ends:
            wait = min(max(until - self._clock(), timedelta()), outbox.LONGEST_WISH)
            self._ends[until] = _now() + wait.total_seconds()

        return max(self._ends[until] - _now(), 0.0)

    def forget(self, *, keep: set[datetime | None]) -> None:
        """Drop the waits that nothing waits for any more."""
        self._ends = {until: end for until, end in self._ends.items() if until in keep}


def _now() -> float:
    return asyncio.get_running_loop().time()
