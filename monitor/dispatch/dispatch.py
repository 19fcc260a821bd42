"""All outbox workers: one for each notifier, hired, replaced, drained and ended together."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core import outbox
from monitor.core.model.service import Directory
from monitor.dispatch.journal import Journal
from monitor.dispatch.late import Overdue
from monitor.dispatch.worker import Shared, Worker
from monitor.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from monitor.core.model.notice import Delivery, Receipt
    from monitor.core.situation import Situation
    from monitor.dispatch.journal import Record
    from monitor.notifiers.notifier import Notifier

_log = Log()

DEADLINE: Final = timedelta(seconds=35)
"""How long one attempt may take, whatever the notifier's own timeout is."""

STOP_GRACE: Final = timedelta(seconds=5)
"""How long an attempt may still take when its worker is told to stop."""

STORE_PATIENCE: Final = timedelta(seconds=10)
"""How long a notice waits for the store before people are told all the same."""

_LOOK_EVERY: Final = timedelta(seconds=5)
"""How often what is late is looked for."""


class Dispatch:
    """Brings what is queued in `situation` to the receivers, at least once.

    `record` makes changed rows durable, before each attempt and after it; where that fails people
    are told from memory. `on_receipt` is called after each attempt, with a row that is `maybe_sent`
    where it was sent once more though it may have arrived before. `directory` says who stands in
    for whom. `rng` gives random numbers from 0 to 1.
    """

    def __init__(
        self,
        *,
        notifiers: Mapping[str, Notifier],
        situation: Situation,
        record: Record,
        clock: Callable[[], datetime],
        on_receipt: Callable[[Delivery, Receipt], None],
        directory: Callable[[], Directory] = lambda: Directory(services={}),
        rng: Callable[[], float] = random.random,
        deadline: timedelta = DEADLINE,
        stop_grace: timedelta = STOP_GRACE,
        store_patience: timedelta = STORE_PATIENCE,
    ) -> None:
        self._notifiers = dict(notifiers)
        self._situation = situation
        self._moved = asyncio.Event()
        self._draining = 0
        self._shared = Shared(
            situation=situation,
            journal=Journal(situation, record, store_patience),
            clock=clock,
            on_receipt=on_receipt,
            rng=rng,
            deadline=deadline,
            stop_grace=stop_grace,
            moved=self._moved.set,
            queued=self.wake,
            hurried=lambda: self._draining > 0,
            directory=directory,
        )
        self._workers: dict[str, Worker] = {}
        self._overdue = Overdue(situation)
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Take up what an earlier process left, and deliver from now on."""
        self._watch = asyncio.create_task(self._watch_late(), name="late notices")
        self._hire()
        unknown = {
            name for name in self._situation.pending_notifiers() if name not in self._notifiers
        }
        self._report_orphans(unknown)

    def wake(self) -> None:
        """Look for new notices now."""
        for worker in self._workers.values():
            worker.wake()

    async def drain(self, grace: timedelta) -> int:
        """Wait until all is delivered, at most so long; give how many notices are not.

        It does not wait for what would not be tried again within that time, and gathers nothing.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + grace.total_seconds()
        self._draining += 1
        try:
            self.wake()
            while (left := end - loop.time()) > 0:
                self._moved.clear()
                if not any(worker.is_busy(left) for worker in self._workers.values()):
                    break
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._moved.wait(), left)
        finally:
            self._draining -= 1

        return sum(len(self._situation.pending_deliveries(name)) for name in self._notifiers)

    async def replace(self, notifiers: Mapping[str, Notifier]) -> None:
        """Take over changed notifiers: those that are the same object go on undisturbed.

        What is queued for one that is gone stays in the store.
        """
        gone = self._notifiers.keys() - notifiers.keys()
        self._notifiers = dict(notifiers)
        leaving = [
            name
            for name, worker in self._workers.items()
            if notifiers.get(name) is not worker.notifier
        ]
        await asyncio.gather(*(self._workers.pop(name).stop() for name in leaving))
        if self._watch is not None:
            self._hire()
        self._report_orphans(gone)

    async def stop(self) -> None:
        """End all workers; what is not delivered stays queued."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        workers, self._workers = self._workers, {}
        await asyncio.gather(*(worker.stop() for worker in workers.values()))
        await self._shared.journal.close()

    def _hire(self) -> None:
        for name, notifier in self._notifiers.items():
            if name not in self._workers:
                self._workers[name] = Worker(name, notifier, self._shared)

    def _report_orphans(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            if waiting := len(self._situation.pending_deliveries(name)):
                _log.warning("notices_without_notifier", notifier=name, undelivered=waiting)

    async def _watch_late(self) -> None:
        """Tell the fallback of what is not told in time, for as long as it goes on."""
        while True:
            await asyncio.sleep(_LOOK_EVERY.total_seconds())
            try:
                await self._look_for_late()
            except Exception:  # noqa: BLE001 - it is looked for again in a moment
                _log.exception("late_notices_not_looked_for")

    async def _look_for_late(self) -> None:
        now, directory = self._shared.clock(), self._shared.directory()
        self._overdue.look(self._notifiers, now)
        for name in self._notifiers:
            instead = outbox.stand_in_late(name, directory, self._situation, now)
            if instead:
                await self._shared.journal.write(instead)
                self.wake()
