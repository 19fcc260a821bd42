"""Which revision of the tables a file has, and how it gets today's."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monitor.store import tables
from monitor.store.errors import StoreError

if TYPE_CHECKING:
    from sqlite3 import Connection

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_REVISION: Final = "alembic_version"
_FIND_REVISION: Final = f"SELECT version_num FROM {_REVISION}"  # noqa: S608 - a name of ours
_SET_REVISION: Final = f"INSERT INTO {_REVISION} VALUES (?)"  # noqa: S608 - a name of ours


class Age(Enum):
    """What the tables of a file are like."""

    EMPTY = "empty"
    OLD = "old"
    CURRENT = "current"


def bring_up_to_date(connection: Connection, path: Path) -> None:
    """Create or migrate the tables, all of them or none; the caller commits what is new.

    Where nothing is to be done nothing is locked. Raises StoreError for tables of a later version,
    or of another program.
    """
    connection.execute("BEGIN")
    if find_age(connection, path) is Age.CURRENT:
        return

    connection.rollback()
    connection.execute("BEGIN IMMEDIATE")
    match find_age(connection, path):
        case Age.EMPTY:
            _create(connection)
        case Age.OLD:
            _migrate(connection)
        case Age.CURRENT:
            pass


def find_age(connection: Connection, path: Path) -> Age:
    """Say what the tables are like; raises StoreError for those of others."""
    tables_of_file = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    found = frozenset(name for (name,) in tables_of_file)
    if not found:
        return Age.EMPTY

    if _REVISION not in found:
        raise StoreError(f"{path}: the file is a database of another program, not a store")

    row = connection.execute(_FIND_REVISION).fetchone()
    revision = row[0] if row else None
    if revision is not None and revision not in tables.REVISIONS:
        raise StoreError(
            f"{path}: the store was written by a later version (its revision is {revision}, this"
            f" version knows up to {tables.REVISIONS[-1]}): install that version again"
        )

    return Age.CURRENT if revision == tables.REVISIONS[-1] else Age.OLD


def _create(connection: Connection) -> None:
    """Make a new store as the migrations would, without the price of importing alembic."""
    for statement in tables.SCHEMA:
        connection.execute(statement)
    connection.execute(
        f"CREATE TABLE {_REVISION} (version_num VARCHAR(32) NOT NULL, PRIMARY KEY (version_num))"
    )
    connection.execute(_SET_REVISION, (tables.REVISIONS[-1],))


def _migrate(connection: Connection) -> None:
    """Let alembic change the tables, within the transaction that is open."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    engine = create_engine(
        "sqlite://",
        creator=lambda: connection,
        poolclass=StaticPool,
        pool_reset_on_return=None,  # or what was changed would be rolled back here
    )
    with engine.connect() as borrowed:
        config = Config(attributes={"connection": borrowed})
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        command.upgrade(config, "head")
        borrowed.commit()
