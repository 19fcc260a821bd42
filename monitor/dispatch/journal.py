"""What the workers write: to memory at once, and to the store as soon as it can."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from monitor.core.model.changes import Changes
from monitor.logs import Log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import timedelta

    from monitor.core.model.notice import Delivery
    from monitor.core.situation import Situation

    Record = Callable[[Changes], Awaitable[None]]

_log = Log()


class Journal:
    """Writes rows to memory and to the store; one that fails or hangs is waited for only once."""

    def __init__(self, situation: Situation, record: Record, patience: timedelta) -> None:
        self.patience = patience
        self._situation = situation
        self._record = record
        self._failing = False
        self._late: set[asyncio.Task[None]] = set()

    async def write(self, rows: Sequence[Delivery]) -> None:
        """Return once the rows are durable, or it is clear that they will not be soon."""
        if not rows:
            return

        changes = Changes(deliveries=tuple(rows))
        self._situation.apply(changes)
        writing = asyncio.create_task(self._write(changes), name="record deliveries")
        self._late.add(writing)
        writing.add_done_callback(self._late.discard)
        if self._failing:
            await asyncio.sleep(0)  # it is known: whether it works again is seen when this ends
            return

        await asyncio.wait({writing}, timeout=self.patience.total_seconds())
        if not writing.done():
            self._fail("the store does not answer")

    async def close(self) -> None:
        """Give what is still being written a last chance."""
        if self._late:
            await asyncio.wait(set(self._late), timeout=self.patience.total_seconds())
        for writing in self._late:
            writing.cancel()

    async def _write(self, changes: Changes) -> None:
        try:
            await self._record(changes)
        except Exception as error:  # noqa: BLE001 - whatever the store raised, people are told
            self._fail(str(error))
        else:
            self._failing = False

    def _fail(self, error: str) -> None:
        if not self._failing:
            _log.error("telling_from_memory", error=error)
        self._failing = True
