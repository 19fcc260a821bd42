"""The one connection to the store's file: opening, transactions, and what follows when one fails.

Everything here blocks, and belongs to the one thread that opened it.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from monitor.core.situation import Situation
from monitor.logs import Log
from monitor.store import pruning, reading, schema
from monitor.store.codec import CodecError
from monitor.store.connection import connect, connect_as_it_is, copy_to
from monitor.store.errors import StoreError, StoreLost, Unready
from monitor.store.files import Files, Standing
from monitor.store.lock import Lock, was_released
from monitor.store.writing import write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path
    from sqlite3 import Connection

    from monitor.core.model.changes import Changes, Result
    from monitor.core.model.incident import Incident, TimelineEntry

_log = Log()
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PASSING: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_LONG_LOG: Final = 4 * 1024 * 1024
_FOR_WRITING: Final = "BEGIN IMMEDIATE"  # a deferred one may fail at its first write, unwaited
_FOR_READING: Final = "BEGIN"


class Corrupt(StoreLost):
    """The file is damaged, or no database at all."""


class Database:
    """An open store. After a failed transaction the connection is replaced before the next one.

    Once the file is found to hold no longer what was written to it, each call raises StoreLost
    until `reattach`.
    """

    def __init__(
        self,
        path: Path,
        *,
        command: str,
        clock: Callable[[], datetime],
        busy_timeout: timedelta,
        patient: bool,
    ) -> None:
        self._files = Files(path)
        self._command = command
        self._clock = clock
        self._busy_timeout = busy_timeout
        self._patient = patient
        self._lock: Lock | None = None
        self._control: Path | None = None
        self._connection: Connection | None = None
        self._numbers: dict[str, int] = {}
        self._distrusts_log = False
        self._lost = ""
        self.set_aside: Path | None = None
        self.problem: StoreError | None = None

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
        if self.problem is None:
            with self._patience():
                try:
                    return self._read(reading.read_situation)
                except Corrupt as error:
                    self._begin_anew(error)
                    return Situation()

        return self._load_as_it_is()

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
        """See `Store.samples_of`; a window may begin anew where nothing can be read yet."""
        if self.problem is not None:
            return {}

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
        self._control = control
        if self._lock is not None:
            self._lock.tell_control(control)

    def reattach(self) -> None:
        """Have a file again, after it was lost; all that is known must be committed next."""
        self._own()
        standing = self._files.standing
        if standing in (Standing.GONE, Standing.STRANGE):
            self._make_way(standing)
        self._disconnect()
        try:
            self._connect(suspect=True)
        except Corrupt as error:
            self._begin_anew(error)
        self._lost, self.problem = "", None
        _log.warning("store_attached_again", store=str(self.path))

    def close(self) -> None:
        """Close the file, which empties its log, and give up the lock."""
        self._disconnect()
        if self._lock is not None:
            self._lock.release()

    def _read(self, work: Callable[[Connection], reading.Record]) -> reading.Record:
        with self._transaction(_FOR_READING) as connection:
            return self._understand(work, connection)

    def _understand(
        self, work: Callable[[Connection], reading.Record], connection: Connection
    ) -> reading.Record:
        try:
            return work(connection)
        except CodecError as error:
            raise StoreError(
                f"{self.path}: {error}; if a later version wrote it, install that version again"
            ) from error

    def _start(self) -> None:
        with self._patience():
            was_closed = was_released(self.path)
            self._own()
            try:
                if was_closed and self.path.exists() and self._files.empty:
                    raise Corrupt(f"{self.path}: the store has been emptied")
                self._connect(suspect=self._files.suspect)
            except Corrupt as error:
                self._begin_anew(error)

    def _own(self) -> None:
        """Have the directory and the lock, again if they were taken away."""
        self._files.prepare()
        if self._lock is not None and self._lock.intact:
            return

        before = self._lock
        self._lock = Lock.take(self.path, command=self._command, now=self._clock())
        if self._control is not None:
            self._lock.tell_control(self._control)
        if before is not None:
            before.release()

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """Go on without a file that can be written, where that is asked for and may pass."""
        try:
            yield
        except Unready as error:
            if not self._patient:
                raise
            self._disconnect()
            self.problem, self._lost = error, str(error)

    def _load_as_it_is(self) -> Situation:
        """Read the situation though nothing can be written; what cannot be read is set aside later.

        Raises StoreError where somebody else keeps us from reading: to begin with nothing beside a
        healthy store would be worse than to begin later.
        """
        if self._files.empty:
            return Situation()

        try:
            has_log = self._files.has_log
            with closing(connect_as_it_is(self.path, has_log=has_log)) as connection:
                if schema.find_age(connection, self.path) is not schema.Age.CURRENT:
                    raise StoreError(f"{self.path}: the store cannot be migrated: {self.problem}")
                situation = self._understand(reading.read_situation, connection)
        except sqlite3.Error as error:
            if _code(error) == sqlite3.SQLITE_BUSY:
                raise StoreError(f"{self.path}: cannot read the store: {error}") from error
            _log.error("store_unreadable", store=str(self.path), error=str(error))
            return Situation()

        self._files.opened()

        return situation

    def _connect(self, *, suspect: bool) -> None:
        """Open the file and have its tables ready.

        `quick_check` reads the whole file, a second for each few hundred megabytes, so it runs
        only where damage is likely: after an end without `close`, which leaves a log behind, and
        after damage was met. Other damage shows as soon as it is read, in `load` at the latest.
        """
        self._files.create()
        with self._translated("open"):
            self._connection = connect(self.path, self._busy_timeout)
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
        self.set_aside = self._keep("corrupt", str(error))
        self._connect(suspect=False)
        self._lost = ""

    def _make_way(self, standing: Standing) -> None:
        """Where the file is gone, have its place free, or filled with a copy of what it held.

        While we are connected to it, it is still there, whatever its name is now, if any.
        """
        copy = self._copy()
        self._disconnect()
        self._files.drop_log()
        if standing is Standing.STRANGE:
            why = "replaced" if self._files.known else "unreadable"
            self._keep(why, self._lost)
        if copy is not None:
            self._files.put_in_place(copy)

    def _copy(self) -> Path | None:
        """Copy the file that was taken away; None where only what is in memory can be saved.

        Raises Unready where there is no room for it: then there is none for a new one either.
        """
        if self._connection is None:
            return None

        copy = self._files.begin_copy()
        copied = False
        try:
            copied = copy_to(self._connection, copy)
        except sqlite3.Error as error:
            if _code(error) == sqlite3.SQLITE_FULL:
                raise Unready(f"{self.path}: cannot copy the store: {error}") from error
            _log.warning("history_not_saved", store=str(self.path), error=str(error))
        finally:
            if not copied:
                copy.unlink(missing_ok=True)

        return copy if copied else None

    def _keep(self, why: str, error: str) -> Path:
        kept = self._files.set_aside(self._clock(), why)
        _log.error("store_set_aside", store=str(self.path), kept=str(kept), error=error)

        return kept

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        self._require_ours()
        with self._translated("read" if begin == _FOR_READING else "write"):
            connection = self._ready()
            connection.execute(begin)
            yield connection
            connection.commit()
        if self._files.note_log() >= _LONG_LOG:
            self._checkpoint(connection)

    def _checkpoint(self, connection: Connection) -> None:
        """Bring what the log holds into the database; what does not work now is done another time.

        Only here do we write the database itself, so anybody else's writing is noticed.
        """
        with suppress(sqlite3.Error):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        self._files.note_own_writing()

    def _require_ours(self) -> None:
        """Raise StoreLost unless the file holds what was written to it, and nobody else may."""
        if not self._lost and not (self._lock is not None and self._lock.intact):
            self._lost = f"{self.path}: the lock of the store was deleted or replaced"
        if not self._lost and (standing := self._files.standing) is not Standing.OURS:
            self._lost = f"{self.path}: the store {standing.value}"
        if self._lost:
            raise StoreLost(self._lost)

    def _ready(self) -> Connection:
        """Give the connection, or a new one after a failure."""
        if self._connection is None:
            self._connection = connect(self.path, self._busy_timeout)
        if self._distrusts_log:
            self._empty_log(self._connection)

        return self._connection

    def _empty_log(self, connection: Connection) -> None:
        """Let no later commit depend on pages of the log that failed to reach the disk.

        After a failed fsync the kernel may call such pages clean, and a second fsync succeeds
        without writing them; what follows them in the log would be lost with them.
        """
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._files.note_own_writing()
        if busy:
            raise StoreError(f"{self.path}: cannot write: another process is reading the store")

        self._distrusts_log = False

    @contextmanager
    def _translated(self, act: str) -> Iterator[None]:
        """Turn what the database raises into StoreError, and drop the connection that raised it."""
        try:
            yield
        except sqlite3.Error as error:
            code = _code(error)
            message = f"{self.path}: cannot {act} the store: {error}"
            if code == sqlite3.SQLITE_BUSY and self._connection is not None:
                self._give_up()
                raise StoreError(message) from error

            self._disconnect()
            if code == sqlite3.SQLITE_IOERR:
                self._distrusts_log = True
            if code in _PASSING and self._files.is_full:
                message += " (there is no room left on the disk)"
            if code in _CORRUPT:
                self._files.mark_suspect()
                self._lost = message
                raise Corrupt(message) from error

            raise (Unready if code in _PASSING else StoreError)(message) from error
        except BaseException:
            self._disconnect()
            raise

    def _give_up(self) -> None:
        """Leave the transaction, and stay connected: nothing is wrong with the file."""
        self._numbers.clear()
        with suppress(sqlite3.Error):
            if self._connection is not None:
                self._connection.rollback()

    def _disconnect(self) -> None:
        """Close the connection, which rolls back what is open in it."""
        connection, self._connection = self._connection, None
        self._numbers.clear()
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
            self._files.note_own_writing()


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
