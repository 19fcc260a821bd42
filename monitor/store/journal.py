"""The order in which changes become durable: batched when they may wait, together when not."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from monitor.core.model.changes import Changes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_log = structlog.get_logger()
BATCH: Final = timedelta(seconds=1)
_MOST_RESULTS: Final = 200_000


class Journal:
    """One queue in front of the store.

    `later` lets a bundle wait up to a second for company; `soon` does not wait, but does not make
    its caller wait for the disk either. `now` returns once the bundle and
    everything queued before it are durable; bundles that arrive during a commit share the next
    one. A bundle that could not be committed stays first in line, so nothing is written out of
    order and nothing is forgotten while the store is broken.
    """

    def __init__(self, commit: Callable[[Changes], Awaitable[None]]) -> None:
        self._commit = commit
        self._waiting: deque[Changes] = deque()
        self._committing = asyncio.Lock()
        self._flusher: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._added = 0
        self._durable = 0
        self.error: Exception | None = None

    def later(self, changes: Changes) -> None:
        """Commit this within a second."""
        self._queue(changes)
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush_soon(), name="journal")

    def soon(self, changes: Changes) -> None:
        """Commit this at once, in the background."""
        self.later(changes)
        self._hurry.set()

    async def now(self, changes: Changes) -> None:
        """Commit this and all before it; raise what the store raised if that failed."""
        self._queue(changes)
        await self.flush()

    async def flush(self) -> None:
        """Commit all that is waiting; raise what the store raised if that failed."""
        mine = self._added
        async with self._committing:
            if self._durable >= mine:
                return

            await self._commit_waiting()

    async def close(self) -> None:
        """Commit what is waiting and end the task that batches."""
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.gather(self._flusher, return_exceptions=True)
        await self.flush()

    @property
    def waiting(self) -> int:
        """How many bundles are not durable yet."""
        return len(self._waiting)

    def _queue(self, changes: Changes) -> None:
        self._waiting.append(changes)
        self._added += 1

    async def _flush_soon(self) -> None:
        while self._waiting:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), BATCH.total_seconds())
            self._hurry.clear()
            try:
                await self.flush()
            except Exception:  # noqa: BLE001 - whatever the store raised is kept in `error` and told
                _log.debug("batch_waits_for_the_store", waiting=self.waiting)

    async def _commit_waiting(self) -> None:
        upto = self._added
        batch = Changes.merge(self._waiting)
        self._waiting.clear()
        try:
            await self._commit(batch)
        except BaseException as error:
            self._put_back(batch)
            if isinstance(error, Exception):
                self._notice(error)
            raise

        self._durable = upto
        self._notice(None)

    def _put_back(self, batch: Changes) -> None:
        """Keep what failed first in line; of an endless history give up results, not decisions."""
        if len(batch.results) > _MOST_RESULTS:
            batch = batch.without_results()
        self._waiting.appendleft(batch)

    def _notice(self, error: Exception | None) -> None:
        if error is not None and self.error is None:
            _log.error("store_failed", error=str(error))
        if error is None and self.error is not None:
            _log.info("store_works_again")
        self.error = error
