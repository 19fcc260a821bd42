"""What is done by the clock: decisions each second, forgetting, and telling of the store."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final

import structlog

from monitor.scheduler import Calendar

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from monitor.core.engine import Engine
    from monitor.core.model.changes import Changes
    from monitor.store import MemoryStore, Store
    from monitor.store.journal import Journal

_log = structlog.get_logger()

TICK: Final = timedelta(seconds=1)
PRUNE_EVERY: Final = timedelta(hours=1)
MEND_EVERY: Final = timedelta(minutes=1)


class Chores:
    """Everything that is due without anybody asking for it.

    `record` hands changes on to become durable; `retention` gives how long records are kept;
    `kill_switch` gives the file whose coming and going is logged.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        journal: Journal,
        store: Store | MemoryStore,
        record: Callable[[Changes], None],
        clock: Callable[[], datetime],
        retention: Callable[[], timedelta],
        kill_switch: Callable[[], Path],
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._store = store
        self._record = record
        self._clock = clock
        self._retention = retention
        self._kill_switch = kill_switch
        self._rollbacks_off = False
        self._calendar: Calendar | None = None

    def plan(self) -> None:
        """Begin the chores of a daemon that are on the calendar."""
        self._calendar = Calendar(wall=lambda: self._clock().timestamp(), monotonic=monotonic)
        self._calendar.every(PRUNE_EVERY, self.prune)
        self._calendar.start()

    def stop(self) -> None:
        """Begin nothing more."""
        if self._calendar is not None:
            self._calendar.stop()

    async def run(self) -> None:
        """Decide once a second what time alone decides."""
        mended = monotonic()
        while True:
            await asyncio.sleep(TICK.total_seconds())
            now = self._clock()
            self._record(self._engine.tick(now))
            self._tell_of_store(now)
            self._watch_switch()
            if self._calendar is not None and monotonic() - mended >= MEND_EVERY.total_seconds():
                mended = monotonic()
                self._calendar.mend_after_jump()

    async def prune(self) -> None:
        """Forget what is older than the retention; a store that cannot do it now does it later."""
        now = self._clock()
        try:
            deleted = await self._store.prune(now - self._retention(), now)
        except Exception as error:  # noqa: BLE001 - forgetting can wait for the next time, whatever it was
            _log.warning("pruning_failed", error=str(error))
            return

        if deleted:
            _log.info("pruned", rows=deleted)

    def _watch_switch(self) -> None:
        switch = self._kill_switch()
        before, self._rollbacks_off = self._rollbacks_off, switch.exists()
        if before != self._rollbacks_off:
            turn = "rollbacks_switched_off" if self._rollbacks_off else "rollbacks_switched_on"
            _log.warning(turn, file=str(switch))

    def _tell_of_store(self, now: datetime) -> None:
        error = self._journal.error
        self._record(
            self._engine.store_works_again(now)
            if error is None
            else self._engine.store_failed(str(error), now)
        )
