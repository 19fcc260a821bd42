"""A store as it is on the disk, read once by somebody who must not change anything about it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, Self, TypeVar

from monitor.core.model.changes import Changes
from monitor.core.situation import Situation
from monitor.store import reading, schema
from monitor.store.codec import CodecError
from monitor.store.connection import connect_to_look
from monitor.store.errors import StoreError, StoreHeld
from monitor.store.files import Files
from monitor.store.lock import is_held, read_holder
from monitor.store.memory import MOST_RESULTS, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from sqlite3 import Connection

    from monitor.core.model.changes import Result
    from monitor.core.model.incident import Incident, TimelineEntry

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

_EVER: Final = datetime.fromtimestamp(0, UTC)


class Snapshot(MemoryStore):
    """What a store held when it was read. Nothing is created, moved, migrated or repaired.

    Whoever asks may be another user than the service, whose files would then be in its way.
    """

    def __init__(self, path: Path, situation: Situation) -> None:
        super().__init__()
        self._file = path
        self._found = situation

    @classmethod
    async def read(cls, path: Path) -> Self:
        """Read a store that nobody holds; raises StoreHeld or StoreError."""
        situation, results = await asyncio.to_thread(_read, path)
        snapshot = cls(path, situation)
        await snapshot.commit(Changes(results=tuple(results)))

        return snapshot

    async def load(self) -> Situation:
        """Give all that was found."""
        return self._found

    async def timeline(self, incident: str) -> tuple[TimelineEntry, ...]:
        """Read the record of one incident in its order."""
        return await asyncio.to_thread(self._look, reading.read_timeline, incident) or ()

    async def incidents(self, since: datetime, limit: int) -> list[Incident]:
        """Read the newest incidents that were open at `since` or later, oldest first."""
        return await asyncio.to_thread(self._look, reading.read_incidents, since, limit) or []

    async def incidents_named(self, beginning: str, limit: int) -> tuple[Incident, ...]:
        """Read the incidents whose ids begin so, in the order of their ids; an exact one first."""
        found = await asyncio.to_thread(self._look, reading.read_incidents_named, beginning, limit)

        return found or ()

    def _look(
        self,
        read: Callable[Concatenate[Connection, Arguments], Answer],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Answer | None:
        """Look into the file once more; None where there is nothing in it."""
        files = Files(self._file)
        if files.empty:
            return None

        try:
            with closing(connect_to_look(self._file, has_log=files.has_log)) as connection:
                if schema.find_age(connection, self._file) is schema.Age.EMPTY:
                    return None
                return read(connection, *args, **kwargs)
        except (sqlite3.Error, CodecError) as error:
            raise StoreError(f"{self._file}: cannot read the store: {error}") from error


def _read(path: Path) -> tuple[Situation, list[Result]]:
    if is_held(path):
        raise StoreHeld(path, read_holder(path))

    files = Files(path)
    if files.empty:
        return Situation(), []

    try:
        with closing(connect_to_look(path, has_log=files.has_log)) as connection:
            age = schema.find_age(connection, path)
            if age is schema.Age.EMPTY:
                return Situation(), []
            if age is schema.Age.OLD:
                raise StoreError(
                    f"{path}: the store was written by an earlier version: start the monitor,"
                    " which brings it up to date"
                )
            return (
                reading.read_situation(connection),
                reading.read_results(connection, None, _EVER, MOST_RESULTS),
            )
    except (sqlite3.Error, CodecError) as error:
        raise StoreError(
            f"{path}: cannot read the store: {error}; nothing was changed. A monitor that starts"
            " keeps a damaged one aside, and begins with an empty one"
        ) from error
