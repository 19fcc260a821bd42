"""Which revision of the tables a file has, and how it gets today's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, MetaData, String, Table, insert, inspect, select

from monitor.store import tables
from monitor.store.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_revision: Final = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), primary_key=True),
)


def bring_up_to_date(connection: Connection, path: Path) -> None:
    """Create or migrate the tables, all of them or none; the caller commits.

    Raises StoreError for tables of a later version, or of another program.
    """
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    found = frozenset(inspect(connection).get_table_names())
    if not found:
        _create(connection)
        return

    if _revision.name not in found:
        raise StoreError(f"{path}: the file is a database of another program, not a store")

    revision = connection.scalar(select(_revision.c.version_num))
    if revision == tables.REVISIONS[-1]:
        return

    if revision is not None and revision not in tables.REVISIONS:
        raise StoreError(
            f"{path}: the store was written by a later version (its revision is {revision}, this"
            f" version knows up to {tables.REVISIONS[-1]}): install that version again"
        )

    _migrate(connection)


def _create(connection: Connection) -> None:
    """Make a new store as the migrations would, without the price of importing alembic."""
    tables.metadata.create_all(connection, checkfirst=False)
    _revision.create(connection)
    connection.execute(insert(_revision).values(version_num=tables.REVISIONS[-1]))


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
