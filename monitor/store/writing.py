"""Writing changed records: one row each, upserted by its key, all in the caller's transaction."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from monitor.core.model.verdict import Outcome
from monitor.store import tables
from monitor.store.codec import encode, to_microseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from sqlite3 import Connection

    from monitor.core.model.changes import Changes, Result
    from monitor.core.model.incident import Incident
    from monitor.core.model.notice import Delivery
    from monitor.core.model.rollback import Rollback

LETTERS: Final = {
    Outcome.PASS: "p",
    Outcome.FAIL: "f",
    Outcome.UNKNOWN: "u",
    Outcome.WAITING: "w",
}
_Row = dict[str, Any]


def write(connection: Connection, changes: Changes, numbers: dict[str, int]) -> None:
    """Write all records of a bundle. `numbers` holds what is known of the table `names`, and grows.

    After a transaction that was rolled back, `numbers` must be forgotten.
    """
    for table in (tables.CHECK_STATES, tables.HEADER_PINS):
        delete_all(connection, table, "check", changes.forgotten)
    delete_all(connection, tables.HEARTBEATS, "endpoint", changes.silenced)

    for table, rows in (
        (tables.CHECK_STATES, [_row(s, check=s.check) for s in changes.states]),
        (tables.INCIDENTS, [_incident_row(incident) for incident in changes.incidents]),
        (
            tables.TIMELINE,
            [
                _row(e, incident=e.incident, sequence=e.sequence, at=to_microseconds(e.at))
                for e in changes.timeline
            ],
        ),
        (tables.DELIVERIES, [_delivery_row(delivery) for delivery in changes.deliveries]),
        (
            tables.DEPLOYS,
            [
                _row(d, id=d.id, service=d.service, at=to_microseconds(d.at))
                for d in changes.deploys
            ],
        ),
        (tables.ROLLBACKS, [_rollback_row(rollback) for rollback in changes.rollbacks]),
        (tables.STEPS, [_row(s, key=s.key, rollback=s.rollback) for s in changes.steps]),
        (tables.HEADER_PINS, [_row(pin, check=pin.check) for pin in changes.pins]),
        (tables.HEARTBEATS, [_row(one, endpoint=one.endpoint) for one in changes.heartbeats]),
        (tables.PRESENCES, [_row(one, id=one.id) for one in changes.presences]),
        (
            tables.SILENCES,
            [_row(s, id=s.id, ends_at=to_microseconds(s.ends_at)) for s in changes.silences],
        ),
    ):
        if rows:
            connection.executemany(table.upsert, rows)

    if changes.results:
        _write_results(connection, changes.results, numbers)


def delete_all(
    connection: Connection, table: tables.Table, column: str, values: Sequence[str]
) -> None:
    """Delete the rows whose column has one of these values."""
    connection.executemany(
        f'DELETE FROM {table.name} WHERE "{column}" = ?',  # noqa: S608 - names of ours
        [(value,) for value in values],
    )


def checks_name(result: Result) -> str:
    """Name the checks of a result as they are interned, in their order."""
    return json.dumps([check for check, _ in result.outcomes], separators=(",", ":"))


def _row(record: object, **columns: str | int | None) -> _Row:
    row: _Row = {
        name: storable(value) if isinstance(value, str) else value
        for name, value in columns.items()
    }

    return row | {"body": encode(record)}


def storable(text: str) -> str:
    """Write what no encoding has, such as half a surrogate pair, as an escape.

    A target may send one in its version; the body of a record keeps it as it is.
    """
    return text.encode(errors="backslashreplace").decode()


def _incident_row(incident: Incident) -> _Row:
    return _row(
        incident,
        id=incident.id,
        service=incident.service,
        opened_at=to_microseconds(incident.opened_at),
        resolved_at=_moment_or_none(incident.resolved_at),
    )


def _delivery_row(delivery: Delivery) -> _Row:
    return _row(
        delivery,
        id=delivery.id,
        notifier=delivery.notifier,
        incident=delivery.notice.incident,
        state=delivery.state.value,
        queued_at=to_microseconds(delivery.queued_at),
    )


def _rollback_row(rollback: Rollback) -> _Row:
    return _row(
        rollback,
        id=rollback.id,
        service=rollback.service,
        deploy=rollback.deploy_id,
        state=rollback.state.value,
        tripped_at=to_microseconds(rollback.tripped_at),
    )


def _write_results(
    connection: Connection, results: Iterable[Result], numbers: dict[str, int]
) -> None:
    named = [(result, storable(result.endpoint), checks_name(result)) for result in results]
    _intern(connection, {name for _, *names in named for name in names}, numbers)
    connection.executemany(
        tables.RESULTS.upsert,
        [
            {
                "endpoint": numbers[endpoint],
                "at": to_microseconds(result.at),
                "duration": _span(result.duration),
                "latency": None if result.latency is None else _span(result.latency),
                "scheduled": result.scheduled,
                "checks": numbers[checks],
                "outcomes": "".join(LETTERS[outcome] for _, outcome in result.outcomes),
                "code": result.code.value if result.code else None,
                "status": result.status,
                "version": None if result.version is None else storable(result.version),
                "value": result.value,
            }
            for result, endpoint, checks in named
        ],
    )


def _intern(connection: Connection, wanted: set[str], numbers: dict[str, int]) -> None:
    missing = sorted(wanted - numbers.keys())
    if not missing:
        return

    connection.executemany(
        "INSERT INTO names (name) VALUES (?) ON CONFLICT DO NOTHING",
        [(name,) for name in missing],
    )
    for name in missing:
        found = connection.execute("SELECT id FROM names WHERE name = ?", (name,))
        numbers[name] = found.fetchone()[0]


def _moment_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else to_microseconds(moment)


def _span(span: timedelta) -> int:
    return span // timedelta(microseconds=1)
