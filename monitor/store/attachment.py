"""Being attached to the file of the store: opening it, losing it, and having one again.

Everything here blocks, and belongs to the one thread that opened it.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

from monitor.logs import Log
from monitor.store import schema
from monitor.store.connection import connect, connect_as_it_is, copy_to
from monitor.store.errors import StoreError, StoreLost, Unready
from monitor.store.files import Files, Standing
from monitor.store.lock import Lock, was_released

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime, timedelta
    from pathlib import Path
    from sqlite3 import Connection

_log = Log()
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PASSING: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_LONG_LOG: Final = 4 * 1024 * 1024

FOR_WRITING: Final = "BEGIN IMMEDIATE"  # a deferred one may fail at its first write, unwaited
FOR_READING: Final = "BEGIN"

Found = TypeVar("Found")


class Corrupt(StoreLost):
    """The file is damaged, or no database at all."""


class Attachment:
    """The file, its lock and the one connection, which is replaced after a failed transaction.

    Once the file is found to hold no longer what was written to it, each transaction raises
    StoreLost until `reattach`. A `patient` one does without a file that cannot be written yet:
    then `problem` says why. `on_rollback` is called when what was written may not be there.
    """

    def __init__(
        self,
        path: Path,
        *,
        command: str,
        clock: Callable[[], datetime],
        busy_timeout: timedelta,
        patient: bool,
        on_rollback: Callable[[], None],
    ) -> None:
        self._files = Files(path)
        self._command = command
        self._clock = clock
        self._busy_timeout = busy_timeout
        self._patient = patient
        self._on_rollback = on_rollback
        self._lock: Lock | None = None
        self._control: Path | None = None
        self._connection: Connection | None = None
        self._distrusts_log = False
        self._lost = ""
        self.set_aside: Path | None = None
        self.problem: StoreError | None = None

    @property
    def path(self) -> Path:
        """The file of the store."""
        return self._files.path

    def start(self) -> None:
        """Take the lock, check the file, bring its tables up to date."""
        with self.patience():
            was_closed = was_released(self.path)
            self._own()
            try:
                if was_closed and self.path.exists() and self._files.empty:
                    raise Corrupt(f"{self.path}: the store has been emptied")
                self._connect(suspect=self._files.suspect)
            except Corrupt as error:
                self.begin_anew(error)

    @contextmanager
    def patience(self) -> Iterator[None]:
        """Go on without a file that can be written, where that is asked for and may pass."""
        try:
            yield
        except Unready as error:
            if not self._patient:
                raise
            self._disconnect()
            self.problem, self._lost = error, str(error)

    @contextmanager
    def transaction(self, begin: str) -> Iterator[Connection]:
        """Commit what is done, or none of it."""
        self._require_ours()
        with self._translated("read" if begin == FOR_READING else "write"):
            connection = self._ready()
            connection.execute(begin)
            yield connection
            connection.commit()
        if self._files.note_log() >= _LONG_LOG:
            self._checkpoint(connection)

    def read_as_it_is(self, read: Callable[[Connection], Found]) -> Found | None:
        """Read though nothing can be written; None where there is nothing that can be read.

        What cannot be read is set aside once that is possible.

        Raises StoreError where somebody else keeps us from reading: to begin with nothing beside a
        healthy store would be worse than to begin later.
        """
        if self._files.empty:
            return None

        try:
            has_log = self._files.has_log
            with closing(connect_as_it_is(self.path, has_log=has_log)) as connection:
                age = schema.find_age(connection, self.path)
                if age is schema.Age.EMPTY:  # there was no room for its tables
                    return None
                if age is schema.Age.OLD:
                    raise StoreError(f"{self.path}: the store cannot be migrated: {self.problem}")
                found = read(connection)
        except sqlite3.Error as error:
            if _code(error) == sqlite3.SQLITE_BUSY:
                raise StoreError(f"{self.path}: cannot read the store: {error}") from error
            _log.error("store_unreadable", store=str(self.path), error=str(error))
            return None

        self._files.opened()

        return found

    def begin_anew(self, error: Corrupt) -> None:
        """Keep a corrupt file for people to look at, and go on with an empty one."""
        self._disconnect()
        self.set_aside = self._keep("corrupt", str(error))
        self._connect(suspect=False)
        self._lost = ""

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
            self.begin_anew(error)
        self._lost, self.problem = "", None
        _log.warning("store_attached_again", store=str(self.path))

    def tell_control(self, control: Path) -> None:
        """Write down beside the store where its owner listens."""
        self._control = control
        if self._lock is not None:
            self._lock.tell_control(control)

    def close(self) -> None:
        """Close the file, which empties its log, and give up the lock."""
        self._disconnect()
        if self._lock is not None:
            self._lock.release()

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

    def _connect(self, *, suspect: bool) -> None:
        """Open the file and have its tables ready.

        `quick_check` reads the whole file, a second for each few hundred megabytes, so it runs
        only where damage is likely: after an end without `close`, which leaves a log behind, and
        after damage was met. Other damage shows as soon as it is read, in `load` at the latest.
        """
        self._files.create()
        try:
            with self._translated("open"):
                self._connection = connect(self.path, self._busy_timeout)
                if suspect:
                    self._check()
                schema.bring_up_to_date(self._connection, self.path)
                self._connection.commit()
        except StoreError:
            self._files.drop_empty()
            raise

        self._files.opened()

    def _check(self) -> None:
        assert self._connection is not None
        (problem,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if problem != "ok":
            raise Corrupt(f"{self.path}: the store is corrupt: {' '.join(problem.split())}")

        self._files.trust()

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

    def _checkpoint(self, connection: Connection) -> None:
        """Bring what the log holds into the database; what does not work now is done another time.

        Only here do we write the database itself, so anybody else's writing is noticed.
        """
        with suppress(sqlite3.Error, MemoryError):
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
        except MemoryError as error:
            self._disconnect()
            message = f"{self.path}: cannot {act} the store: this machine has no free memory"
            raise Unready(message) from error
        except BaseException:
            self._disconnect()
            raise

    def _give_up(self) -> None:
        """Leave the transaction, and stay connected: nothing is wrong with the file."""
        self._on_rollback()
        with suppress(sqlite3.Error):
            if self._connection is not None:
                self._connection.rollback()

    def _disconnect(self) -> None:
        """Close the connection, which rolls back what is open in it."""
        connection, self._connection = self._connection, None
        self._on_rollback()
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
            self._files.note_own_writing()


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
