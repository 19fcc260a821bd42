"""The one connection to the store's file: opening, transactions, and what follows when one fails.

Everything here blocks, and belongs to the one thread that opened it.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import structlog

from monitor.core.situation import Situation
from monitor.store import pruning, reading, schema
from monitor.store.codec import CodecError
from monitor.store.errors import StoreError
from monitor.store.files import Files
from monitor.store.lock import Lock
from monitor.store.writing import write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path
    from sqlite3 import Connection

    from monitor.core.model.changes import Changes, Result
    from monitor.core.model.incident import Incident, TimelineEntry

_log = structlog.get_logger()
_LARGEST_WAL: Final = 16 * 1024 * 1024  # what is left of the log after a checkpoint
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FOR_WRITING: Final = "BEGIN IMMEDIATE"  # a deferred one may fail at its first write, unwaited
_FOR_READING: Final = "BEGIN"


class Corrupt(StoreError):
    """The file is damaged, or no database at all."""


class Database:
    """An open store. After a failed transaction the connection is replaced before the next one."""

    def __init__(
        self, files: Files, lock: Lock, clock: Callable[[], datetime], busy_timeout: timedelta
    ) -> None:
        self._files = files
        self._lock = lock
        self._clock = clock
        self._busy_timeout = busy_timeout
        self._connection: Connection | None = None
        self._numbers: dict[str, int] = {}
        self._distrusts_log = False
        self.set_aside: Path | None = None

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        command: str,
        clock: Callable[[], datetime],
        busy_timeout: timedelta,
    ) -> Database:
        """Take the lock, check the file, bring its tables up to date; see `Store.open`."""
        files = Files(path)
        files.prepare()
        lock = Lock.take(path, command=command, now=clock())
        database = cls(files, lock, clock, busy_timeout)
        try:
            database._start()
        except BaseException:
            database.close()
            raise

        return database

    @property
    def path(self) -> Path:
        """The file of the store."""
        return self._files.path

    def load(self) -> Situation:
        """Read the situation; where only this shows that the file is corrupt, begin anew."""
        try:
            return self._read(reading.read_situation)
        except Corrupt as error:
            self._begin_anew(error)

            return Situation()

    def commit(self, changes: Changes) -> None:
        """Write a bundle in one transaction."""
        with self._transaction(_FOR_WRITING) as connection:
            write(connection, changes, self._numbers)

    def samples(self, endpoint: str, since: datetime) -> list[tuple[datetime, timedelta]]:
        """See `Store.samples`."""
        return self._read(lambda connection: reading.read_samples(connection, endpoint, since))

    def samples_of(
        self, since: Mapping[str, datetime]
    ) -> dict[str, list[tuple[datetime, timedelta]]]:
        """See `Store.samples_of`."""
        return self._read(lambda connection: reading.read_samples_of(connection, since))

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

    def numbers(self) -> Sequence[int]:
        """Give the numbers under which results may be stored."""
        return self._read(pruning.numbers_of_endpoints)

    def prune_results(self, endpoints: Sequence[int], before: datetime, now: datetime) -> int:
        """Delete one chunk of results."""
        with self._transaction(_FOR_WRITING) as connection:
            return pruning.prune_results(connection, endpoints, pruning.cutoff(before, now))

    def prune_incidents(self, before: datetime, now: datetime) -> int:
        """Delete one chunk of incidents and of deliveries that belong to none."""
        with self._transaction(_FOR_WRITING) as connection:
            limit = pruning.cutoff(before, now)

            return pruning.prune_incidents(connection, limit) or pruning.prune_deliveries(
                connection, limit
            )

    def prune_deploys(self, before: datetime, now: datetime) -> int:
        """Delete deploys and rollbacks."""
        with self._transaction(_FOR_WRITING) as connection:
            return pruning.prune_deploys(connection, pruning.cutoff(before, now))

    def tell_control(self, control: Path) -> None:
        """Write down beside the store where its owner listens."""
        self._lock.tell_control(control)

    def close(self) -> None:
        """Close the file, which empties its log, and give up the lock."""
        self._disconnect()
        self._lock.release()

    def _read(self, work: Callable[[Connection], reading.Record]) -> reading.Record:
        try:
            with self._transaction(_FOR_READING) as connection:
                return work(connection)
        except CodecError as error:
            raise StoreError(
                f"{self.path}: {error}; if a later version wrote it, install that version again"
            ) from error

    def _start(self) -> None:
        try:
            self._connect()
        except Corrupt as error:
            self._begin_anew(error)

    def _connect(self) -> None:
        """Open the file and have its tables ready.

        `quick_check` reads the whole file, a second for each few hundred megabytes, so it runs
        only where damage is likely: after an end without `close`, which leaves a log behind, and
        after damage was met. Other damage shows as soon as it is read, in `load` at the latest.
        """
        suspect = self._files.suspect
        self._files.create()
        with self._translated("open"):
            self._connection = _connect_to(self.path, self._busy_timeout)
            if suspect:
                self._check()
            schema.bring_up_to_date(self._connection, self.path)
            self._connection.commit()
        self._files.opened()

    def _check(self) -> None:
        assert self._connection is not None
        (problem,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if problem != "ok":
            raise Corrupt(f"{self.path}: the store is corrupt: {' '.join(problem.split())}")

        self._files.trust()

    def _begin_anew(self, error: Corrupt) -> None:
        """Keep a corrupt file for people to look at, and go on with an empty one."""
        self._disconnect()
        self.set_aside = self._files.set_aside(self._clock())
        _log.error(
            "store_set_aside", store=str(self.path), kept=str(self.set_aside), error=str(error)
        )
        self._connect()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        with self._translated("read" if begin == _FOR_READING else "write"):
            connection = self._ready()
            connection.execute(begin)
            yield connection
            connection.commit()

    def _ready(self) -> Connection:
        """Give the connection, or a new one after a failure."""
        if not (self._lock.intact and self._files.intact):
            raise StoreError(
                f"{self.path}: the store or its lock was deleted or replaced while it was in use;"
                " restart to begin with what is there now"
            )
        if self._connection is None:
            self._connection = _connect_to(self.path, self._busy_timeout)
        if self._distrusts_log:
            self._empty_log(self._connection)

        return self._connection

    def _empty_log(self, connection: Connection) -> None:
        """Let no later commit depend on pages of the log that failed to reach the disk.

        After a failed fsync the kernel may call such pages clean, and a second fsync succeeds
        without writing them; what follows them in the log would be lost with them.
        """
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreError(f"{self.path}: cannot write: another process is reading the store")

        self._distrusts_log = False

    @contextmanager
    def _translated(self, act: str) -> Iterator[None]:
        """Turn what the database raises into StoreError, and drop the connection that raised it."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            message = f"{self.path}: cannot {act} the store: {error}"
            self._disconnect()
            if code == sqlite3.SQLITE_IOERR:
                self._distrusts_log = True
            if code in _CORRUPT:
                self._files.mark_suspect()
                raise Corrupt(message) from error

            raise StoreError(message) from error
        except BaseException:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        """Close the connection, which rolls back what is open in it."""
        connection, self._connection = self._connection, None
        self._numbers.clear()
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _connect_to(path: Path, busy_timeout: timedelta) -> Connection:
    # isolation_level: transactions are begun and ended here, never by the driver.
    connection = sqlite3.connect(path, timeout=busy_timeout.total_seconds(), isolation_level=None)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise StoreError(
                f"{path}: the file system cannot hold a write-ahead log (journal mode is"
                f" {mode}, expected wal): put the store on a local disk"
            )
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA journal_size_limit={_LARGEST_WAL}")
    except BaseException:
        connection.close()
        raise

    return connection
