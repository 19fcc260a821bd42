"""The order in which changes become durable: batched when they may wait, together when not."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.model.changes import Changes
from monitor.logs import Log
from monitor.store.errors import StoreError, StoreLost
from monitor.store.salvage import halves

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_log = Log()
BATCH: Final = timedelta(seconds=1)
STUCK: Final = timedelta(seconds=15)
"""A commit that takes longer than this makes no progress: even a locked store gives up sooner."""

_MOST_RESULTS: Final = 50_000


class Journal:
    """One queue in front of the store.

    `later` lets a bundle wait up to a second for company; `soon` does not wait, but does not make
    its caller wait for the disk either. `now` returns once the bundle and
    everything queued before it are durable; bundles that arrive during a commit share the next
    one. A bundle that could not be committed stays first in line and is tried again each second,
    so nothing is written out of order and nothing is forgotten while the store is broken. Where the
    store lost what was written to it, it is attached again (`reattach`) and gets `everything`.

    `problem` is what is wrong with the store from the start.

    Cancelling who waits does not cancel the commit: it belongs to the journal, which learns how it
    ended.
    """

    def __init__(
        self,
        commit: Callable[[Changes], Awaitable[None]],
        *,
        batch: timedelta = BATCH,
        reattach: Callable[[], Awaitable[None]] | None = None,
        everything: Callable[[], Changes] = Changes,
        problem: Exception | None = None,
    ) -> None:
        self._commit = commit
        self._batch = batch
        self._reattach = reattach
        self._everything = everything
        self._waiting: deque[Changes] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._attempt: asyncio.Task[Exception | None] | None = None
        self._hurry = asyncio.Event()
        self._added = 0
        self._attempted = 0
        self._durable = 0
        self._begun = 0.0
        self.error: Exception | None = None
        self._trouble: Exception | None = None
        if problem is not None:
            self._notice(problem)

    def later(self, changes: Changes) -> None:
        """Commit this within a second."""
        self._queue(changes)

    def soon(self, changes: Changes) -> None:
        """Commit this at once, in the background; a broken store has its second all the same."""
        self._queue(changes)
        if self.error is None:
            self._hurry.set()

    async def now(self, changes: Changes) -> None:
        """Commit this and all before it; raise what the store raised if that failed."""
        self._queue(changes)
        await self.flush()

    async def flush(self) -> None:
        """Commit all that is waiting; raise what the store raised if that failed."""
        mine = self._added
        while self._durable < mine:
            attempt = self._attempt
            if attempt is None or attempt.done():
                attempt = self._begin()
            covers_mine = self._attempted >= mine
            await asyncio.wait((attempt,))

            error = attempt.result()
            if covers_mine and error is not None:
                raise error

    async def close(self) -> None:
        """Commit what is waiting and end the task that batches; raise if the commit failed."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        await self.flush()

    def take_trouble(self) -> Exception | None:
        """Give what is wrong with the store, or was at any moment since this was asked before."""
        trouble, self._trouble = self._trouble or self.error, None

        return trouble

    @property
    def waiting(self) -> int:
        """How many bundles are not durable yet."""
        return self._added - self._durable

    @property
    def progresses(self) -> bool:
        """Whether commits end, be it with an error, and none has been hanging for long."""
        if self._attempt is None or self._attempt.done():
            return True

        return asyncio.get_running_loop().time() - self._begun < STUCK.total_seconds()

    def _queue(self, changes: Changes) -> None:
        if not changes:
            return

        self._waiting.append(changes)
        self._added += 1
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_behind(), name="journal")

    async def _write_behind(self) -> None:
        """Commit once a batch is due, and again each second while something could not be."""
        while self._durable < self._added:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), self._batch.total_seconds())
            self._hurry.clear()
            try:
                await self.flush()
            except Exception:  # noqa: BLE001 - whatever the store raised is kept in `error` and told
                _log.debug("batch_waits_for_the_store", waiting=self.waiting)

    def _begin(self) -> asyncio.Task[Exception | None]:
        """Start to commit all that is waiting; one attempt at a time, with what came until then."""
        batch = Changes.merge(self._waiting)
        self._waiting.clear()
        self._attempted = self._added
        self._begun = asyncio.get_running_loop().time()
        self._attempt = asyncio.create_task(
            self._commit_batch(batch, self._attempted), name="journal commit"
        )

        return self._attempt

    async def _commit_batch(self, batch: Changes, upto: int) -> Exception | None:
        """Commit, and give what went wrong to all who wait for this."""
        broken: Exception | None = None
        try:
            try:
                broken = await self._write(batch)
            except StoreLost as lost:
                if self._reattach is None:
                    raise
                self._notice(lost)
                await self._reattach()
                batch = Changes.merge((batch, self._everything()))
                broken = await self._write(batch)
        except BaseException as error:
            self._put_back(batch)
            if not isinstance(error, Exception):
                raise

            self._notice(error)
            return error

        self._durable = upto
        self._notice(None)

        return broken

    async def _write(self, batch: Changes) -> Exception | None:
        """Commit all that can be stored; give what kept a record from it."""
        try:
            await self._try(batch)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours in one record: save the others
            await self._salvage(batch, error)
            return error

        return None

    async def _try(self, batch: Changes) -> None:
        """Commit; where memory ran out, no record is to blame."""
        try:
            await self._commit(batch)
        except MemoryError as error:
            raise StoreError("the store cannot be written: there is no free memory") from error

    async def _salvage(self, batch: Changes, problem: Exception) -> None:
        """Commit all of a batch but the record that cannot be stored: it shall block no other."""
        parts = halves(batch)
        if len(parts) < 2:
            _log.error("record_lost", record=repr(batch), exc_info=problem)
            return

        for part in parts:
            try:
                await self._try(part)
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001 - the record is in this half, or one of them
                await self._salvage(part, error)

    def _put_back(self, batch: Changes) -> None:
        """Keep what failed first in line; of an endless history give up the oldest results."""
        surplus = len(batch.results) - _MOST_RESULTS
        if surplus > 0:
            batch = replace(batch, results=batch.results[surplus:])
        self._waiting.appendleft(batch)

    def _notice(self, error: Exception | None) -> None:
        if error is not None and self.error is None:
            _log.error("store_failed", error=str(error))
            self._trouble = error
        if error is None and self.error is not None:
            _log.info("store_works_again")
        self.error = error
