"""Reading records back: the situation at start, samples for windows, history for people."""

from __future__ import annotations

import heapq
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog
from sqlalchemy import or_, select

from monitor.core.model.changes import Changes, Result
from monitor.core.model.check_state import CheckState
from monitor.core.model.deploy import Deploy
from monitor.core.model.incident import Incident, TimelineEntry
from monitor.core.model.notice import PENDING, Delivery
from monitor.core.model.observation import Code
from monitor.core.model.rollback import Rollback, Step
from monitor.core.situation import Situation
from monitor.store import tables
from monitor.store.codec import CodecError, decode, from_microseconds, to_microseconds
from monitor.store.writing import LETTERS, storable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Row, Select

_log = structlog.get_logger()

RECENT_INCIDENTS: Final = 200
"""How many resolved incidents are loaded into memory at start."""

RECENT_DELIVERIES: Final = 1_000
"""How many finished deliveries are loaded into memory at start."""

_OUTCOMES: Final = {letter: outcome for outcome, letter in LETTERS.items()}

Record = TypeVar("Record")


def read_situation(connection: Connection) -> Situation:
    """Read all that decides now, and the newest of what is over."""
    incidents = _read_incidents(connection)
    situation = Situation()
    situation.apply(
        Changes(
            states=_records(connection, CheckState, select(tables.check_states.c.body)),
            incidents=incidents,
            timeline=tuple(
                entry for incident in incidents for entry in read_timeline(connection, incident.id)
            ),
            deliveries=_read_deliveries(connection),
            deploys=_records(
                connection, Deploy, select(tables.deploys.c.body).order_by(tables.deploys.c.at)
            ),
            rollbacks=_records(
                connection,
                Rollback,
                select(tables.rollbacks.c.body).order_by(tables.rollbacks.c.tripped_at),
            ),
            steps=_records(connection, Step, select(tables.steps.c.body)),
        )
    )

    return situation


def read_timeline(connection: Connection, incident: str) -> tuple[TimelineEntry, ...]:
    """Read the record of one incident in its order."""
    return _records(
        connection,
        TimelineEntry,
        select(tables.timeline.c.body)
        .where(tables.timeline.c.incident == incident)
        .order_by(tables.timeline.c.sequence),
    )


def read_incidents(connection: Connection, since: datetime, limit: int) -> list[Incident]:
    """Read the newest incidents that were open at `since` or later, oldest first."""
    table = tables.incidents.c
    found = _records(
        connection,
        Incident,
        select(table.body)
        .where(or_(table.resolved_at.is_(None), table.resolved_at >= to_microseconds(since)))
        .order_by(table.opened_at.desc(), table.id.desc())
        .limit(limit),
    )

    return list(reversed(found))


def read_samples(
    connection: Connection, endpoint: str, since: datetime
) -> list[tuple[datetime, timedelta]]:
    """Read the scheduled latency samples of an endpoint at or after `since`, oldest first."""
    number = _number(connection, endpoint)
    if number is None:
        return []

    table = tables.results.c
    found = connection.execute(
        select(table.at, table.latency)
        .where(
            table.endpoint == number,
            table.at >= to_microseconds(since),
            table.scheduled.is_(True),
            table.latency.is_not(None),
        )
        .order_by(table.at)
    )

    return [(from_microseconds(at), timedelta(microseconds=latency)) for at, latency in found]


def read_samples_of(
    connection: Connection, since: Mapping[str, datetime]
) -> dict[str, list[tuple[datetime, timedelta]]]:
    """Read the samples of many endpoints; one that has no results is left out."""
    known = set(_names(connection).values())

    return {
        endpoint: read_samples(connection, endpoint, start)
        for endpoint, start in since.items()
        if storable(endpoint) in known
    }


def read_results(
    connection: Connection, endpoint: str | None, since: datetime, limit: int
) -> list[Result]:
    """Read the newest results at or after `since`, of one endpoint or of all, oldest first."""
    if limit < 1:
        return []

    names = _names(connection)
    numbers = (
        connection.scalars(select(tables.names.c.id)).all()
        if endpoint is None
        else [_number(connection, endpoint)]
    )

    newest: list[tuple[int, int, Result]] = []
    earliest = to_microseconds(since)
    for number in numbers:
        for row in connection.execute(_newest_results(number, earliest, limit)):
            item = (row.at, row.endpoint, _result(row, names))
            if len(newest) < limit:
                heapq.heappush(newest, item)
            else:
                heapq.heappushpop(newest, item)
        if len(newest) == limit:
            earliest = max(earliest, newest[0][0])

    return [result for _, _, result in sorted(newest, key=lambda item: item[:2])]


def _newest_results(number: int | None, earliest: int, limit: int) -> Select[Any]:
    table = tables.results.c

    return (
        select(tables.results)
        .where(table.endpoint == number, table.at >= earliest)
        .order_by(table.at.desc())
        .limit(limit)
    )


def _result(row: Row[Any], names: dict[int, str]) -> Result:
    checks: list[str] = json.loads(names[row.checks])

    return Result(
        endpoint=names[row.endpoint],
        at=from_microseconds(row.at),
        duration=timedelta(microseconds=row.duration),
        scheduled=row.scheduled,
        outcomes=tuple(
            (check, _OUTCOMES[letter]) for check, letter in zip(checks, row.outcomes, strict=True)
        ),
        code=Code(row.code) if row.code else None,
        status=row.status,
        latency=None if row.latency is None else timedelta(microseconds=row.latency),
        version=row.version,
    )


def _read_incidents(connection: Connection) -> tuple[Incident, ...]:
    table = tables.incidents.c
    unresolved = _records(
        connection, Incident, select(table.body).where(table.resolved_at.is_(None))
    )
    resolved = _records(
        connection,
        Incident,
        select(table.body)
        .where(table.resolved_at.is_not(None))
        .order_by(table.resolved_at.desc(), table.id)
        .limit(RECENT_INCIDENTS),
    )

    return tuple(
        sorted((*unresolved, *resolved), key=lambda incident: (incident.opened_at, incident.id))
    )


def _read_deliveries(connection: Connection) -> tuple[Delivery, ...]:
    """Read what is pending, what open incidents were told already, and the newest of the rest."""
    table = tables.deliveries.c
    unresolved = select(tables.incidents.c.id).where(tables.incidents.c.resolved_at.is_(None))
    needed = select(table.body).where(or_(table.state.in_(PENDING), table.incident.in_(unresolved)))
    recent = select(table.body).order_by(table.queued_at.desc()).limit(RECENT_DELIVERIES)
    found = {
        delivery.id: delivery
        for delivery in (
            *_records(connection, Delivery, recent),
            *_records(connection, Delivery, needed),
        )
    }

    return tuple(sorted(found.values(), key=lambda delivery: (delivery.queued_at, delivery.id)))


def _records(
    connection: Connection, kind: type[Record], statement: Select[Any]
) -> tuple[Record, ...]:
    """Read records; one that cannot be read stops nobody, unless it guards a second rollback."""
    found = []
    for body in connection.scalars(statement):
        try:
            found.append(decode(kind, body))
        except CodecError as error:
            if kind in (Deploy, Rollback, Step):
                raise
            _log.error("record_unreadable", error=str(error), record=body)

    return tuple(found)


def _number(connection: Connection, name: str) -> int | None:
    return connection.scalar(select(tables.names.c.id).where(tables.names.c.name == storable(name)))


def _names(connection: Connection) -> dict[int, str]:
    found = connection.execute(select(tables.names.c.id, tables.names.c.name))

    return {row.id: row.name for row in found}
