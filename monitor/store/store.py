"""The store as the event loop sees it: every call is carried out, in order, by one thread."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from monitor.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future
    from pathlib import Path

    from monitor.core.model.changes import Changes, Result
    from monitor.core.model.incident import Incident, TimelineEntry
    from monitor.core.model.verdict import Outcome
    from monitor.core.situation import Situation
    from monitor.store.database import Database

_BUSY_TIMEOUT: Final = timedelta(seconds=5)
_TOGETHER: Final = 100  # endpoints whose results are pruned by one statement

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Store:
    """The durable records of one monitor, in one SQLite file that one process owns at a time.

    All methods raise StoreError when the file cannot be read or written. A call that was begun is
    finished by the thread even if the task that waits for it is cancelled.
    """

    def __init__(self, database: Database, thread: ThreadPoolExecutor) -> None:
        self._database = database
        self._attachment = database.attachment
        self._thread = thread
        self._closed = False

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        holder: str,
        clock: Callable[[], datetime] = _utc_now,
        busy_timeout: timedelta = _BUSY_TIMEOUT,
        patient: bool = False,
    ) -> Store:
        """Take the store, create or migrate its tables; set a corrupt file aside and start empty.

        `holder` is the command that others are told of. Raises StoreHeld where another process
        has it, StoreError where it cannot be used; then nothing was left open. A `patient` opener
        gets a store with a `problem` where that may pass by itself: what is there was read, but
        nothing can be written until it was attached again.
        """
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        opening = thread.submit(_open, path, holder, clock, busy_timeout, patient)
        try:
            database = await asyncio.wrap_future(opening)
        except BaseException:
            thread.submit(_close_unwanted, opening)
            thread.shutdown(wait=False)
            raise

        return cls(database, thread)

    @property
    def path(self) -> Path:
        """The file of the store."""
        return self._attachment.path

    @property
    def set_aside(self) -> Path | None:
        """Where the file was moved that was found corrupt, or None: people must be told."""
        return self._attachment.set_aside

    @property
    def problem(self) -> StoreError | None:
        """Why it cannot be written since it was opened, or None."""
        return self._attachment.problem

    async def tell_control(self, control: Path) -> None:
        """Let whoever finds the store taken know on which socket its owner listens."""
        await self._run(self._attachment.tell_control, control)

    async def load(self) -> Situation:
        """Read all that decides now, and the newest of what is over."""
        return await self._run(self._database.load)

    async def commit(self, changes: Changes) -> None:
        """Make a bundle durable in one transaction; committing it again changes nothing."""
        if changes:
            await self._run(self._database.commit, changes)

    async def reattach(self) -> None:
        """After StoreLost: have a file again, into which all that is known must be written.

        What lies in its place and is not ours, or is damaged, is set aside.
        """
        await self._run(self._attachment.reattach)

    async def samples_of(
        self, since: Mapping[str, datetime]
    ) -> dict[str, list[tuple[datetime, timedelta]]]:
        """Read the scheduled latency samples of many endpoints at or after a time, oldest first.

        One that has no results is left out.
        """
        return await self._run(self._database.samples_of, since)

    async def values_of(
        self, since: Mapping[str, datetime]
    ) -> dict[str, list[tuple[datetime, float]]]:
        """Read the scheduled values of many endpoints; one that has no results is left out."""
        return await self._run(self._database.values_of, since)

    async def outcomes_of(
        self, since: Mapping[str, datetime], checks: Mapping[str, str], limit: int
    ) -> dict[str, list[tuple[datetime, Outcome]]]:
        """Read what one check of each endpoint said of its newest scheduled probes, oldest first.

        There are at most `limit` for each endpoint; one that has no results is left out.
        """
        return await self._run(self._database.outcomes_of, since, checks, limit)

    async def results(self, endpoint: str | None, since: datetime, limit: int) -> list[Result]:
        """Read the newest results at or after `since`, of one endpoint or of all, oldest first.

        For pages of history to come.
        """
        return await self._run(self._database.results, endpoint, since, limit)

    async def timeline(self, incident: str) -> tuple[TimelineEntry, ...]:
        """Read the record of one incident in its order."""
        return await self._run(self._database.timeline, incident)

    async def incidents(self, since: datetime, limit: int) -> list[Incident]:
        """Read the newest incidents that were open at `since` or later, oldest first."""
        return await self._run(self._database.incidents, since, limit)

    async def incidents_named(self, beginning: str, limit: int) -> tuple[Incident, ...]:
        """Read the incidents whose ids begin so, in the order of their ids; an exact one first."""
        return await self._run(self._database.incidents_named, beginning, limit)

    async def prune(self, before: datetime, now: datetime) -> int:
        """Forget what ended before, but nothing that still decides; give the number of rows.

        The work is cut into short transactions, so that a commit gets its turn between them.
        """
        deleted = 0
        numbers = await self._run(self._database.numbers)
        for start in range(0, len(numbers), _TOGETHER):
            part = numbers[start : start + _TOGETHER]
            while count := await self._run(self._database.prune_results, part, before, now):
                deleted += count
        while count := await self._run(self._database.prune_incidents, before, now):
            deleted += count

        return deleted + await self._run(self._database.prune_deploys, before, now)

    async def close(self) -> None:
        """Finish what was asked for, close the file and give it up to the next process."""
        if self._closed:
            return

        closing = self._thread.submit(self._attachment.close)
        self._closed = True
        self._thread.shutdown(wait=False)
        await asyncio.wrap_future(closing)

    async def _run(
        self,
        work: Callable[Arguments, Answer],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Answer:
        if self._closed:
            raise StoreError(f"{self.path}: the store is closed")

        return await asyncio.wrap_future(self._thread.submit(work, *args, **kwargs))


def _open(
    path: Path,
    holder: str,
    clock: Callable[[], datetime],
    busy_timeout: timedelta,
    patient: bool,
) -> Database:
    # Only here: a run without state needs no database at all.
    from monitor.store.database import Database

    return Database.open(
        path, command=holder, clock=clock, busy_timeout=busy_timeout, patient=patient
    )


def _close_unwanted(opening: Future[Database]) -> None:
    """Give up a store whose opener was cancelled while it was being opened."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().attachment.close()
