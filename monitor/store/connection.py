"""How the database is opened: for good, or to be read where nothing can be written."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from monitor.store.errors import StoreError

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path
    from sqlite3 import Connection

_LARGEST_LOG: Final = 16 * 1024 * 1024  # what is left of the log after a checkpoint
_LARGEST_COPY: Final = 512 * 1024 * 1024  # what is copied while a commit waits for it


def connect(path: Path, busy_timeout: timedelta) -> Connection:
    """Open the database for reading and writing; raises StoreError, sqlite3.Error."""
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
        connection.execute(f"PRAGMA journal_size_limit={_LARGEST_LOG}")
        connection.execute("PRAGMA wal_autocheckpoint=0")  # or we could not tell who wrote the file
    except BaseException:
        connection.close()
        raise

    return connection


def connect_as_it_is(path: Path, *, has_log: bool) -> Connection:
    """Open the database where no file can be made or grow; raises sqlite3.Error.

    With a log, SQLite wants a file of shared memory beside it, unless nobody is to share it.
    """
    how = "mode=rw" if has_log else "mode=ro&immutable=1"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}", uri=True, timeout=0, isolation_level=None
    )
    try:
        if has_log:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN")
    except BaseException:
        connection.close()
        raise

    return connection


def connect_to_look(path: Path, *, has_log: bool) -> Connection:
    """Open the database to read it and leave it as it is; raises sqlite3.Error."""
    how = "mode=ro" if has_log else "mode=ro&immutable=1"
    uri = f"{path.absolute().as_uri()}?{how}"

    return sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None)


def copy_to(connection: Connection, copy: Path) -> bool:
    """Copy all of a database into an empty file; False where it is too large; may raise."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    if pages * size > _LARGEST_COPY:
        return False

    target = sqlite3.connect(copy)
    try:
        connection.backup(target)
    finally:
        target.close()

    return True
