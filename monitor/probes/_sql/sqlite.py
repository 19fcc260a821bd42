"""One query to a file of SQLite, which is opened for reading alone."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Code, Fault, Phase
from monitor.probes._net.faults import Faulted, explain_no_memory, explain_shortage
from monitor.probes._sql import answer
from monitor.probes._sql.reading import may_use_pragma
from monitor.probes._sql.remaining import milliseconds_left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitor.probes._net.look import Look
    from monitor.probes._sql.options import SqlOptions
    from monitor.probes._sql.place import Place
    from monitor.probes.probe import ProbeContext

_STEPS: Final = 1000  # of SQLite's virtual machine, between two looks at the clock
_AT_ONCE: Final = 100
_PRIMARY: Final = 0xFF  # of an extended code
_OUT_OF_MEMORY: Final = frozenset({sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR_NOMEM})
_OF_ITS_FILES: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR})
_NOT_ALLOWED: Final = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})


@dataclass(slots=True, kw_only=True)
class _Job:
    """What a thread is asked to do, and what it found; it ends when `until` is over, or `given_up`.

    A file may lie where reading hangs for ever: then the thread does, but nobody waits for it.
    """

    path: str
    query: str
    until: float
    enter: Callable[[Phase], None]
    given_up: bool = False
    columns: list[str] = field(default_factory=list)
    rows: list[tuple[object, ...]] = field(default_factory=list)

    def is_over(self) -> bool:
        """Whether nobody waits any more."""
        return self.given_up or monotonic() > self.until


class Database:
    """A file of SQLite, which is asked again and again."""

    def __init__(self, options: SqlOptions, context: ProbeContext) -> None:
        self._options = options
        self._context = context
        self._thread: threading.Thread | None = None

    async def ask(self, look: Look, place: Place) -> None:
        """Ask once; raises Faulted."""
        look.peer = place.path
        if self._thread is not None and self._thread.is_alive():
            message = f"{place.path} still has not answered the previous query"
            raise Faulted(Fault(code=Code.TIMEOUT, message=message))

        loop = asyncio.get_running_loop()
        done: asyncio.Future[Exception | None] = loop.create_future()

        def tell(call: Callable[..., None], *arguments: object) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(call, *arguments)

        def enter(phase: Phase) -> None:
            tell(_enter, look, done, phase)

        job = _Job(
            path=place.path,
            query=self._options.query,
            until=monotonic() + milliseconds_left(look, self._context) / 1000,
            enter=enter,
        )
        look.watch.enter(Phase.CONNECT)
        self._thread = threading.Thread(
            target=lambda: tell(_settle, done, _run(job)), name="sql-sqlite", daemon=True
        )
        try:
            self._thread.start()
            error = await done
        finally:
            job.given_up = True

        if error is not None:
            raise _explain(error, job, self._context.mask) from error
        answer.fill_in(look, job.columns, job.rows)


def _enter(look: Look, done: asyncio.Future[Exception | None], phase: Phase) -> None:
    if not done.done():
        look.watch.enter(phase)


def _settle(done: asyncio.Future[Exception | None], error: Exception | None) -> None:
    if not done.done():
        done.set_result(error)


def _run(job: _Job) -> Exception | None:
    """Do what is asked, on a thread; give what went wrong."""
    try:
        _query(job)
    except Exception as error:  # noqa: BLE001 -- whoever waits for it explains it
        return error

    return None


def _query(job: _Job) -> None:
    uri = f"{Path(job.path).absolute().as_uri()}?mode=ro"
    left = max(0.001, job.until - monotonic())
    with _noticing_our_own():
        connection = sqlite3.connect(uri, uri=True, timeout=left, isolation_level=None)
    with closing(connection), _noticing_our_own():
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, answer.MOST_BYTES)
        connection.set_progress_handler(job.is_over, _STEPS)
        connection.execute("PRAGMA query_only = ON")
        connection.set_authorizer(_authorize)
        job.enter(Phase.PROCESSING)
        with closing(connection.execute(job.query)) as cursor:
            if cursor.description is None:
                raise answer.refuse_nothing(job.path)
            job.columns = [one[0] for one in cursor.description]
            first = cursor.fetchone()
            job.enter(Phase.TRANSFER)
            _fetch(job, cursor, first)


@contextmanager
def _noticing_our_own() -> Iterator[None]:
    """Tell what this machine lacks from what is wrong with a file: of both SQLite says the same.

    This is asked before the connection is closed, which would give a descriptor back.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if code in _OUT_OF_MEMORY:
            raise Faulted(explain_no_memory()) from error
        if code == sqlite3.SQLITE_FULL:
            message = "this machine has no room for the temporary files of the query"
            raise Faulted(Fault(code=Code.INTERNAL, message=message, own=True)) from error
        if code & _PRIMARY in _OF_ITS_FILES and (shortage := explain_shortage()):
            raise Faulted(shortage) from error
        raise
    except MemoryError as error:
        raise Faulted(explain_no_memory()) from error


def _fetch(job: _Job, cursor: sqlite3.Cursor, first: tuple[object, ...] | None) -> None:
    size = 0
    rows = [] if first is None else [first]
    while rows:
        if len(job.rows) + len(rows) > answer.MOST_ROWS:
            raise answer.refuse_rows(job.path)
        size += sum(_size(value) for row in rows for value in row)
        if size > answer.MOST_BYTES:
            raise answer.refuse_bytes(job.path)
        job.rows += rows
        rows = cursor.fetchmany(_AT_ONCE)


def _size(value: object) -> int:
    return len(value) if isinstance(value, str | bytes) else 8


def _authorize(action: int, first: str | None, second: str | None, *_where: object) -> int:
    allowed = action not in _NOT_ALLOWED
    if action == sqlite3.SQLITE_PRAGMA:
        allowed = may_use_pragma(first or "", second)

    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _explain(error: Exception, job: _Job, mask: Callable[[str], str]) -> Exception:
    match error:
        case sqlite3.OperationalError(sqlite_errorcode=sqlite3.SQLITE_INTERRUPT):
            return answer.took_too_long(job.path)
        case sqlite3.OperationalError(sqlite_errorcode=sqlite3.SQLITE_BUSY):
            message = f"{job.path} was locked by another program all the time"
            return Faulted(Fault(code=Code.TIMEOUT, message=message))
        case sqlite3.OperationalError(sqlite_errorcode=sqlite3.SQLITE_READONLY):
            return answer.refused_write(job.path, str(error), mask)
        case sqlite3.DataError(sqlite_errorcode=sqlite3.SQLITE_TOOBIG):
            return answer.refuse_bytes(job.path)
        case sqlite3.Error() | sqlite3.Warning():
            return answer.refused(job.path, str(error), mask)

    return error
