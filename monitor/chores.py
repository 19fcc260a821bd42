"""What is done by the clock: decisions each second, forgetting, and telling of the store."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.logs import Log
from monitor.scheduler import Calendar
from monitor.store.pruning import SHORTEST, cutoff

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from monitor.clock import Clock, ClockWatch
    from monitor.core.engine import Engine
    from monitor.core.model.changes import Changes
    from monitor.store import MemoryStore, Store
    from monitor.store.journal import Journal

_log = Log()

TICK: Final = timedelta(seconds=1)
PRUNE_EVERY: Final = timedelta(hours=1)


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
        clock: Clock,
        clock_watch: ClockWatch,
        retention: Callable[[], timedelta],
        kill_switch: Callable[[], Path],
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._store = store
        self._record = record
        self._clock = clock
        self._clock_watch = clock_watch
        self._retention = retention
        self._kill_switch = kill_switch
        self._rollbacks_off = False
        self._calendar: Calendar | None = None

    def plan(self) -> None:
        """Begin the chores of a daemon that are on the calendar."""
        self._calendar = Calendar()
        self._calendar.every(PRUNE_EVERY, self.prune)
        self._calendar.start()

    def plan_anew(self) -> None:
        """Go on by a clock that was set."""
        if self._calendar is not None:
            self._calendar.plan_anew()

    def stop(self) -> None:
        """Begin nothing more."""
        if self._calendar is not None:
            self._calendar.stop()

    async def run(self) -> None:
        """Decide once a second what time alone decides."""
        self._clock_watch.look()
        while True:
            await asyncio.sleep(TICK.total_seconds())
            self._clock_watch.look()
            now = self._clock()
            self._record(self._engine.tick(now))
            self.tell_of_store(now)
            self._watch_switch()

    async def prune(self) -> None:
        """Forget what is older than the retention; a store that cannot do it now does it later.

        A clock that was set forward makes nothing older than it is.
        """
        retention = self._retention()
        now = self._clock.earliest(max(retention, SHORTEST))
        try:
            deleted = await self._store.prune(now - retention, now)
        except Exception as error:  # noqa: BLE001 - forgetting can wait for the next time, whatever it was
            _log.warning("pruning_failed", error=str(error))
            return

        self._engine.situation.forget_deploys(cutoff(now - retention, now))
        if deleted:
            _log.info("pruned", rows=deleted)

    def _watch_switch(self) -> None:
        switch = self._kill_switch()
        before, self._rollbacks_off = self._rollbacks_off, switch.exists()
        if before != self._rollbacks_off:
            _log.warning(
                "rollbacks_switched_off" if self._rollbacks_off else "rollbacks_switched_on",
                file=str(switch),
            )

    def tell_of_store(self, now: datetime) -> None:
        """Tell people that the store cannot be relied on, or can again."""
        error = self._journal.take_trouble()
        self._record(
            self._engine.store_works_again(now)
            if error is None
            else self._engine.store_failed(str(error), now)
        )
