"""Reading records back: the situation at start, samples for windows, history for people."""

from __future__ import annotations

import heapq
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from monitor.core.model.changes import Changes, Result
from monitor.core.model.check_state import CheckState
from monitor.core.model.deploy import Deploy
from monitor.core.model.heartbeat import Heartbeat, Presence
from monitor.core.model.incident import Incident, TimelineEntry
from monitor.core.model.notice import PENDING, Delivery, DeliveryState
from monitor.core.model.observation import Code
from monitor.core.model.pin import HeaderPin
from monitor.core.model.rollback import Rollback, Step
from monitor.core.model.silence import Silence
from monitor.core.situation import KEPT_DEAD, Situation
from monitor.logs import Log
from monitor.store.codec import CodecError, decode, from_microseconds, to_microseconds
from monitor.store.writing import LETTERS, storable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from sqlite3 import Connection

    from monitor.core.model.verdict import Outcome

_log = Log()

RECENT_INCIDENTS: Final = 200
"""How many resolved incidents are loaded into memory at start."""

RECENT_DELIVERIES: Final = 1_000
"""How many finished deliveries are loaded into memory at start."""

MARKS_OF_PENDING: Final = ", ".join("?" * len(PENDING))
"""The place of `PENDING` in a statement."""

_OUTCOMES: Final = {letter: outcome for outcome, letter in LETTERS.items()}

Record = TypeVar("Record")
Sample = TypeVar("Sample")


def read_situation(connection: Connection) -> Situation:
    """Read all that decides now, and the newest of what is over."""
    incidents = _read_incidents(connection)
    situation = Situation()
    situation.apply(
        Changes(
            states=_records(connection, CheckState, "SELECT body FROM check_states"),
            incidents=incidents,
            timeline=tuple(
                entry for incident in incidents for entry in read_timeline(connection, incident.id)
            ),
            deliveries=_read_deliveries(connection),
            deploys=_records(connection, Deploy, "SELECT body FROM deploys ORDER BY at"),
            rollbacks=_records(
                connection, Rollback, "SELECT body FROM rollbacks ORDER BY tripped_at"
            ),
            steps=_records(connection, Step, "SELECT body FROM steps"),
            pins=_records(connection, HeaderPin, "SELECT body FROM header_pins"),
            heartbeats=_records(connection, Heartbeat, "SELECT body FROM heartbeats"),
            presences=_records(connection, Presence, "SELECT body FROM presences ORDER BY id"),
            silences=_records(connection, Silence, "SELECT body FROM silences ORDER BY ends_at"),
        )
    )

    return situation


def read_timeline(connection: Connection, incident: str) -> tuple[TimelineEntry, ...]:
    """Read the record of one incident in its order."""
    return _records(
        connection,
        TimelineEntry,
        "SELECT body FROM timeline WHERE incident = ? ORDER BY sequence",
        incident,
    )


def read_incidents(connection: Connection, since: datetime, limit: int) -> list[Incident]:
    """Read the newest incidents that were open at `since` or later, oldest first."""
    found = _records(
        connection,
        Incident,
        "SELECT body FROM incidents WHERE resolved_at IS NULL OR resolved_at >= ?"
        " ORDER BY opened_at DESC, id DESC LIMIT ?",
        to_microseconds(since),
        limit,
    )

    return list(reversed(found))


def read_incidents_named(
    connection: Connection, beginning: str, limit: int
) -> tuple[Incident, ...]:
    """Read the incidents whose ids begin so, in the order of their ids; an exact one first."""
    return _records(
        connection,
        Incident,
        "SELECT body FROM incidents WHERE substr(id, 1, length(?)) = ? ORDER BY id LIMIT ?",
        beginning,
        beginning,
        limit,
    )


def read_values_of(
    connection: Connection, since: Mapping[str, datetime]
) -> dict[str, list[tuple[datetime, float]]]:
    """Read the scheduled values of many endpoints; one that has no results is left out."""
    return _read_column(connection, "value", since, float)


def read_samples_of(
    connection: Connection, since: Mapping[str, datetime]
) -> dict[str, list[tuple[datetime, timedelta]]]:
    """Read the scheduled latency samples of many endpoints at or after a time, oldest first.

    One that has no results is left out.
    """
    return _read_column(
        connection, "latency", since, lambda latency: timedelta(microseconds=latency)
    )


def _read_column(
    connection: Connection,
    column: str,
    since: Mapping[str, datetime],
    read: Callable[[Any], Sample],
) -> dict[str, list[tuple[datetime, Sample]]]:
    """Read what scheduled results have in a column, for each endpoint since a time of its own."""
    statement = (
        f"SELECT at, {column} FROM results"  # noqa: S608 - a name of ours
        f" WHERE endpoint = ? AND at >= ? AND scheduled AND {column} IS NOT NULL ORDER BY at"
    )

    return {
        endpoint: [
            (from_microseconds(at), read(value))
            for at, value in connection.execute(statement, (number, to_microseconds(start)))
        ]
        for endpoint, number, start in _numbered(_names(connection), since)
    }


def read_outcomes_of(
    connection: Connection, since: Mapping[str, datetime], checks: Mapping[str, str], limit: int
) -> dict[str, list[tuple[datetime, Outcome]]]:
    """Read what one check of each endpoint said of its newest scheduled probes, oldest first.

    There are at most `limit` for each endpoint; one that has no results is left out.
    """
    names = _names(connection)

    return {
        endpoint: _read_outcomes(connection, names, number, start, checks[endpoint], limit)
        for endpoint, number, start in _numbered(names, since)
    }


def _read_outcomes(
    connection: Connection,
    names: Mapping[int, str],
    number: int,
    since: datetime,
    check: str,
    limit: int,
) -> list[tuple[datetime, Outcome]]:
    rows = connection.execute(
        "SELECT at, checks, outcomes FROM results"
        " WHERE endpoint = ? AND at >= ? AND scheduled ORDER BY at DESC LIMIT ?",
        (number, to_microseconds(since), limit),
    ).fetchall()
    places = {listed: _places(names, listed).get(check) for listed in {row[1] for row in rows}}

    return [
        (from_microseconds(at), _OUTCOMES[letters[place]])
        for at, listed, letters in reversed(rows)
        if (place := places[listed]) is not None
    ]


def _places(names: Mapping[int, str], listed: int) -> dict[str, int]:
    """Give where each check stands among those that were judged together."""
    return {check: place for place, check in enumerate(json.loads(names[listed]))}


def _numbered(
    names: Mapping[int, str], since: Mapping[str, datetime]
) -> Iterator[tuple[str, int, datetime]]:
    """Give those endpoints that have results, with their numbers."""
    numbers = {name: number for number, name in names.items()}
    for endpoint, start in since.items():
        if (number := numbers.get(storable(endpoint))) is not None:
            yield endpoint, number, start


def read_results(
    connection: Connection, endpoint: str | None, since: datetime, limit: int
) -> list[Result]:
    """Read the newest results at or after `since`, of one endpoint or of all, oldest first."""
    if limit < 1:
        return []

    names = _names(connection)
    of_endpoint = [_number(connection, endpoint)] if endpoint is not None else names

    newest: list[tuple[int, int, Result]] = []
    earliest = to_microseconds(since)
    for number in of_endpoint:
        for row in connection.execute(_NEWEST_RESULTS, (number, earliest, limit)):
            item = (row[1], row[0], _result(row, names))
            if len(newest) < limit:
                heapq.heappush(newest, item)
            else:
                heapq.heappushpop(newest, item)
        if len(newest) == limit:
            earliest = max(earliest, newest[0][0])

    return [result for _, _, result in sorted(newest, key=lambda item: item[:2])]


_NEWEST_RESULTS: Final = (
    "SELECT endpoint, at, duration, latency, scheduled, checks, outcomes, code, status, version,"
    " value"
    " FROM results WHERE endpoint = ? AND at >= ? ORDER BY at DESC LIMIT ?"
)


def _result(row: tuple[Any, ...], names: dict[int, str]) -> Result:
    endpoint, at, duration, latency, scheduled, checks, outcomes, code, status, version, value = row

    return Result(
        endpoint=names[endpoint],
        at=from_microseconds(at),
        duration=timedelta(microseconds=duration),
        scheduled=bool(scheduled),
        outcomes=tuple(
            (check, _OUTCOMES[letter])
            for check, letter in zip(json.loads(names[checks]), outcomes, strict=True)
        ),
        code=Code(code) if code else None,
        status=status,
        latency=None if latency is None else timedelta(microseconds=latency),
        version=version,
        value=value,
    )


def _read_incidents(connection: Connection) -> tuple[Incident, ...]:
    unresolved = _records(
        connection, Incident, "SELECT body FROM incidents WHERE resolved_at IS NULL"
    )
    resolved = _records(
        connection,
        Incident,
        "SELECT body FROM incidents WHERE resolved_at IS NOT NULL"
        " ORDER BY resolved_at DESC, id LIMIT ?",
        RECENT_INCIDENTS,
    )

    return tuple(
        sorted((*unresolved, *resolved), key=lambda incident: (incident.opened_at, incident.id))
    )


def _read_deliveries(connection: Connection) -> tuple[Delivery, ...]:
    """Read all of incidents that are open, or have something untold, and the newest of the rest."""
    recent = _records(
        connection,
        Delivery,
        "SELECT body FROM deliveries ORDER BY queued_at DESC LIMIT ?",
        RECENT_DELIVERIES,
    )
    needed = _records(
        connection,
        Delivery,
        "SELECT body FROM deliveries"  # noqa: S608 - only marks
        f" WHERE incident IN (SELECT incident FROM deliveries WHERE state IN ({MARKS_OF_PENDING}))"
        " OR incident IN (SELECT id FROM incidents WHERE resolved_at IS NULL)",
        *PENDING,
    )
    dead = _records(
        connection,
        Delivery,
        "SELECT body FROM deliveries WHERE incident IN (SELECT incident FROM deliveries"
        " WHERE state = ? ORDER BY queued_at DESC LIMIT ?)",
        DeliveryState.DEAD,
        KEPT_DEAD,
    )
    found = {delivery.id: delivery for delivery in (*recent, *needed, *dead)}
    for digest in {row.told_in for row in needed if row.told_in} - found.keys():
        told = _records(connection, Delivery, "SELECT body FROM deliveries WHERE id = ?", digest)
        found |= {delivery.id: delivery for delivery in told}

    return tuple(sorted(found.values(), key=lambda delivery: (delivery.queued_at, delivery.id)))


def _records(
    connection: Connection, kind: type[Record], statement: str, *values: str | int
) -> tuple[Record, ...]:
    """Read records; one that cannot be read stops nobody, unless it guards a second rollback."""
    found = []
    for (body,) in connection.execute(statement, values):
        try:
            found.append(decode(kind, body))
        except CodecError as error:
            if kind in (Deploy, Rollback, Step):
                raise
            _log.error("record_unreadable", error=str(error), record=body)

    return tuple(found)


def _number(connection: Connection, name: str) -> int | None:
    found = connection.execute("SELECT id FROM names WHERE name = ?", (storable(name),)).fetchone()

    return found[0] if found else None


def _names(connection: Connection) -> dict[int, str]:
    return dict(connection.execute("SELECT id, name FROM names"))
