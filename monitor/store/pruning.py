"""Forgetting what is old, in bounded chunks, but nothing that still decides anything."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from monitor.core.model.changes import Changes
from monitor.core.model.deploy import Deploy
from monitor.core.model.notice import PENDING
from monitor.core.model.rollback import Rollback
from monitor.core.situation import KEPT_PRESENCES, Situation
from monitor.store import tables
from monitor.store.codec import decode, to_microseconds
from monitor.store.reading import MARKS_OF_PENDING
from monitor.store.writing import delete_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from sqlite3 import Connection

CHUNK: Final = 5_000
"""How many result rows one transaction deletes, so that a commit never waits long for pruning."""

SHORTEST: Final = timedelta(days=1)
"""What is younger is kept, however short the retention is."""


def numbers_of_endpoints(connection: Connection) -> Sequence[int]:
    """Give the numbers under which results may be stored."""
    return _column(connection, "SELECT id FROM names")


def cutoff(before: datetime, now: datetime) -> datetime:
    """Give the time before which things may be forgotten, however short the retention is.

    Guards look back a day (rollbacks of one service), and latency windows are refilled at start.
    """
    return min(before, now - SHORTEST)


def prune_results(connection: Connection, endpoints: Sequence[int], before: datetime) -> int:
    """Delete one chunk of the oldest results of some endpoints; give how many there were."""
    marks = ", ".join("?" * len(endpoints))

    return connection.execute(
        "DELETE FROM results WHERE (endpoint, at) IN"  # noqa: S608 - only marks
        f" (SELECT endpoint, at FROM results WHERE endpoint IN ({marks}) AND at < ? LIMIT ?)",
        (*endpoints, to_microseconds(before), CHUNK),
    ).rowcount


def prune_incidents(connection: Connection, before: datetime, chunk: int = 200) -> int:
    """Delete one chunk of incidents resolved before, with their timelines and deliveries.

    An incident stays while a notice of it is pending.
    """
    old = _column(
        connection,
        "SELECT id FROM incidents WHERE resolved_at < ?"  # noqa: S608 - only marks
        f" AND id NOT IN (SELECT incident FROM deliveries WHERE state IN ({MARKS_OF_PENDING}))"
        " ORDER BY resolved_at LIMIT ?",
        to_microseconds(before),
        *PENDING,
        chunk,
    )
    delete_all(connection, tables.TIMELINE, "incident", old)
    delete_all(connection, tables.DELIVERIES, "incident", old)
    delete_all(connection, tables.INCIDENTS, "id", old)

    return len(old)


def prune_deliveries(connection: Connection, before: datetime) -> int:
    """Delete finished deliveries that belong to no incident of the store (tests, and the like)."""
    return connection.execute(
        f"DELETE FROM deliveries WHERE queued_at < ? AND state NOT IN ({MARKS_OF_PENDING})"  # noqa: S608 - only marks
        " AND incident NOT IN (SELECT id FROM incidents)",
        (to_microseconds(before), *PENDING),
    ).rowcount


def prune_deploys(connection: Connection, before: datetime) -> int:
    """Delete old deploys and rollbacks that no guard asks for any more."""
    services = _column(
        connection, "SELECT service FROM deploys UNION SELECT service FROM rollbacks"
    )

    return sum(_prune_service(connection, service, before) for service in services)


def prune_presences(connection: Connection) -> int:
    """Delete the oldest times in which somebody listened for pings; as many stay as are loaded."""
    return connection.execute(
        "DELETE FROM presences WHERE id <= (SELECT MAX(id) FROM presences) - ?", (KEPT_PRESENCES,)
    ).rowcount


def prune_silences(connection: Connection, before: datetime) -> int:
    """Delete silences that ended before."""
    return connection.execute(
        "DELETE FROM silences WHERE ends_at < ?", (to_microseconds(before),)
    ).rowcount


def _prune_service(connection: Connection, service: str, before: datetime) -> int:
    deploys = _column(connection, "SELECT body FROM deploys WHERE service = ?", service)
    rollbacks = _column(connection, "SELECT body FROM rollbacks WHERE service = ?", service)
    known = Situation()
    known.apply(
        Changes(
            deploys=tuple(decode(Deploy, body) for body in deploys),
            rollbacks=tuple(decode(Rollback, body) for body in rollbacks),
        )
    )
    old = known.find_old(service, before)
    delete_all(connection, tables.STEPS, "rollback", old.rollbacks)
    delete_all(connection, tables.ROLLBACKS, "id", old.rollbacks)
    delete_all(connection, tables.DEPLOYS, "id", old.deploys)

    return len(old)


def _column(connection: Connection, statement: str, *values: str | int) -> list[Any]:
    return [value for (value,) in connection.execute(statement, values)]
