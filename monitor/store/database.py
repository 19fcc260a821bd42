"""The records in the file of the store: read, written and forgotten, each in one transaction.

Everything here blocks, and belongs to the one thread that opened it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from monitor.core.situation import Situation
from monitor.store import pruning, reading
from monitor.store.attachment import FOR_READING, FOR_WRITING, Attachment, Corrupt
from monitor.store.codec import CodecError
from monitor.store.errors import StoreError
from monitor.store.writing import write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path
    from sqlite3 import Connection

    from monitor.core.model.changes import Changes, Result
    from monitor.core.model.incident import Incident, TimelineEntry
    from monitor.core.model.verdict import Outcome

Record = TypeVar("Record")


class Database:
    """An open store; its `attachment` knows what becomes of the file."""

    def __init__(
        self,
        path: Path,
        *,
        command: str,
        clock: Callable[[], datetime],
        busy_timeout: timedelta,
        patient: bool,
    ) -> None:
        self._numbers: dict[str, int] = {}
        self.attachment = Attachment(
            path,
            command=command,
            clock=clock,
            busy_timeout=busy_timeout,
            patient=patient,
            on_rollback=self._numbers.clear,
        )

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        command: str,
        clock: Callable[[], datetime],
        busy_timeout: timedelta,
        patient: bool = False,
    ) -> Database:
        """Take the lock, check the file, bring its tables up to date; see `Store.open`."""
        database = cls(
            path, command=command, clock=clock, busy_timeout=busy_timeout, patient=patient
        )
        try:
            database.attachment.start()
        except BaseException:
            database.attachment.close()
            raise

        return database

    def load(self) -> Situation:
        """Read the situation; where only this shows that the file is corrupt, begin anew."""
        if self.attachment.problem is None:
            with self.attachment.patience():
                try:
                    return self._read(reading.read_situation)
                except Corrupt as error:
                    self.attachment.begin_anew(error)
                    return Situation()

        found = self.attachment.read_as_it_is(self._understood(reading.read_situation))

        return found or Situation()

    def commit(self, changes: Changes) -> None:
        """Write a bundle in one transaction."""
        with self.attachment.transaction(FOR_WRITING) as connection:
            write(connection, changes, self._numbers)

    def samples_of(
        self, since: Mapping[str, datetime]
    ) -> dict[str, list[tuple[datetime, timedelta]]]:
        """See `Store.samples_of`."""
        return self._recall(lambda connection: reading.read_samples_of(connection, since))

    def values_of(self, since: Mapping[str, datetime]) -> dict[str, list[tuple[datetime, float]]]:
        """See `Store.values_of`."""
        return self._recall(lambda connection: reading.read_values_of(connection, since))

    def outcomes_of(
        self, since: Mapping[str, datetime], checks: Mapping[str, str], limit: int
    ) -> dict[str, list[tuple[datetime, Outcome]]]:
        """See `Store.outcomes_of`."""
        return self._recall(
            lambda connection: reading.read_outcomes_of(connection, since, checks, limit)
        )

    def results(self, endpoint: str | None, since: datetime, limit: int) -> list[Result]:
        """See `Store.results`."""
        return self._read(
            lambda connection: reading.read_results(connection, endpoint, since, limit)
        )

    def timeline(self, incident: str) -> tuple[TimelineEntry, ...]:
        """See `Store.timeline`."""
        return self._read(lambda connection: reading.read_timeline(connection, incident))

    def incidents(self, since: datetime, limit: int) -> list[Incident]:
        """See `Store.incidents`."""
        return self._read(lambda connection: reading.read_incidents(connection, since, limit))

    def incidents_named(self, beginning: str, limit: int) -> tuple[Incident, ...]:
        """See `Store.incidents_named`."""
        return self._read(
            lambda connection: reading.read_incidents_named(connection, beginning, limit)
        )

    def numbers(self) -> Sequence[int]:
        """Give the numbers under which results may be stored."""
        return self._read(pruning.numbers_of_endpoints)

    def prune_results(self, endpoints: Sequence[int], before: datetime, now: datetime) -> int:
        """Delete one chunk of results."""
        with self.attachment.transaction(FOR_WRITING) as connection:
            return pruning.prune_results(connection, endpoints, pruning.cutoff(before, now))

    def prune_incidents(self, before: datetime, now: datetime) -> int:
        """Delete one chunk of incidents and of deliveries that belong to none."""
        with self.attachment.transaction(FOR_WRITING) as connection:
            limit = pruning.cutoff(before, now)

            return pruning.prune_incidents(connection, limit) or pruning.prune_deliveries(
                connection, limit
            )

    def prune_deploys(self, before: datetime, now: datetime) -> int:
        """Delete deploys, rollbacks and silences, and the oldest times somebody listened."""
        with self.attachment.transaction(FOR_WRITING) as connection:
            limit = pruning.cutoff(before, now)

            return (
                pruning.prune_deploys(connection, limit)
                + pruning.prune_presences(connection)
                + pruning.prune_silences(connection, limit)
            )

    def _recall(self, work: Callable[[Connection], dict[str, Record]]) -> dict[str, Record]:
        """Read what fills windows and rates; they begin anew where nothing can be read yet."""
        return {} if self.attachment.problem is not None else self._read(work)

    def _read(self, work: Callable[[Connection], Record]) -> Record:
        with self.attachment.transaction(FOR_READING) as connection:
            return self._understood(work)(connection)

    def _understood(self, work: Callable[[Connection], Record]) -> Callable[[Connection], Record]:
        """Give the same work, which says in plain words that it cannot read a record."""

        def read(connection: Connection) -> Record:
            try:
                return work(connection)
            except CodecError as error:
                what_helps = "if a later version wrote it, install that version again"
                raise StoreError(f"{self.attachment.path}: {error}; {what_helps}") from error

        return read
