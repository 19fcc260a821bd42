"""Forgetting what is old, in bounded chunks, but nothing that still decides anything."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select, tuple_, union

from monitor.core.model.changes import Changes
from monitor.core.model.deploy import Deploy
from monitor.core.model.notice import PENDING
from monitor.core.model.rollback import Rollback, RollbackState
from monitor.core.situation import Situation
from monitor.store import tables
from monitor.store.codec import decode, to_microseconds
from monitor.store.writing import delete_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

CHUNK: Final = 5_000
"""How many result rows one transaction deletes, so that a commit never waits long for pruning."""

_SHORTEST: Final = timedelta(days=1)
_KEPT_DEPLOYS: Final = 20


def numbers_of_endpoints(connection: Connection) -> Sequence[int]:
    """Give the numbers under which results may be stored."""
    return connection.scalars(select(tables.names.c.id)).all()


def cutoff(before: datetime, now: datetime) -> datetime:
    """Give the time before which things may be forgotten, however short the retention is.

    Guards look back a day (rollbacks of one service), and latency windows are refilled at start.
    """
    return min(before, now - _SHORTEST)


def prune_results(connection: Connection, endpoints: Sequence[int], before: datetime) -> int:
    """Delete one chunk of the oldest results of some endpoints; give how many there were."""
    table = tables.results.c
    key = tuple_(table.endpoint, table.at)
    oldest = (
        select(table.endpoint, table.at)
        .where(table.endpoint.in_(endpoints), table.at < to_microseconds(before))
        .limit(CHUNK)
    )

    return connection.execute(delete(tables.results).where(key.in_(oldest))).rowcount


def prune_incidents(connection: Connection, before: datetime, chunk: int = 200) -> int:
    """Delete one chunk of incidents resolved before, with their timelines and deliveries.

    An incident stays while a notice of it is pending.
    """
    incidents, deliveries = tables.incidents.c, tables.deliveries.c
    pending = select(deliveries.incident).where(deliveries.state.in_(PENDING))
    old = connection.scalars(
        select(incidents.id)
        .where(incidents.resolved_at < to_microseconds(before), incidents.id.not_in(pending))
        .order_by(incidents.resolved_at)
        .limit(chunk)
    ).all()
    if not old:
        return 0

    connection.execute(delete(tables.timeline).where(tables.timeline.c.incident.in_(old)))
    connection.execute(delete(tables.deliveries).where(deliveries.incident.in_(old)))
    connection.execute(delete(tables.incidents).where(incidents.id.in_(old)))

    return len(old)


def prune_deliveries(connection: Connection, before: datetime) -> int:
    """Delete finished deliveries that belong to no incident of the store (tests, and the like)."""
    deliveries = tables.deliveries.c

    return connection.execute(
        delete(tables.deliveries).where(
            deliveries.queued_at < to_microseconds(before),
            deliveries.state.not_in(PENDING),
            deliveries.incident.not_in(select(tables.incidents.c.id)),
        )
    ).rowcount


def prune_deploys(connection: Connection, before: datetime) -> int:
    """Delete old deploys and rollbacks that no guard asks for any more.

    Of each service there stay the newest deploys, the current and the last known good one, the
    newest rollback and the newest that latches (a blocked trip may have followed it), rollbacks
    that have not ended, and what deploys and rollbacks that stay refer to.
    """
    limit = to_microseconds(before)
    deploys, rollbacks = tables.deploys.c, tables.rollbacks.c
    services = connection.scalars(union(select(deploys.service), select(rollbacks.service))).all()

    return sum(_prune_service(connection, service, limit) for service in services)


def _prune_service(connection: Connection, service: str, limit: int) -> int:
    deploys = [
        decode(Deploy, body)
        for body in connection.scalars(
            select(tables.deploys.c.body)
            .where(tables.deploys.c.service == service)
            .order_by(tables.deploys.c.at.desc(), tables.deploys.c.id)
        )
    ]
    rollbacks = [
        decode(Rollback, body)
        for body in connection.scalars(
            select(tables.rollbacks.c.body)
            .where(tables.rollbacks.c.service == service)
            .order_by(tables.rollbacks.c.tripped_at.desc(), tables.rollbacks.c.id)
        )
    ]
    kept = _needed_deploys(service, deploys, limit)
    old_rollbacks = _old_rollbacks(rollbacks, kept, limit)
    kept |= {rollback.deploy_id for rollback in rollbacks if rollback.id not in old_rollbacks}
    old_deploys = [deploy.id for deploy in deploys if deploy.id not in kept]

    delete_all(connection, tables.steps.c.rollback, old_rollbacks)
    delete_all(connection, tables.rollbacks.c.id, old_rollbacks)
    delete_all(connection, tables.deploys.c.id, old_deploys)

    return len(old_rollbacks) + len(old_deploys)


def _needed_deploys(service: str, deploys: list[Deploy], limit: int) -> set[str]:
    """Give what is young, current or the last known good; `deploys` is newest first."""
    situation = Situation()
    situation.apply(Changes(deploys=tuple(deploys)))
    decide_now = (situation.current_deploy(service), situation.last_known_good(service))

    return {
        deploy.id
        for number, deploy in enumerate(deploys)
        if number < _KEPT_DEPLOYS or to_microseconds(deploy.at) >= limit or deploy in decide_now
    }


def _old_rollbacks(rollbacks: list[Rollback], deploys: set[str], limit: int) -> list[str]:
    """Give what has ended long ago and holds nothing back; `rollbacks` is newest first."""
    newest = rollbacks[0] if rollbacks else None
    latching = next((rollback for rollback in rollbacks if rollback.latches), None)

    return [
        rollback.id
        for rollback in rollbacks
        if to_microseconds(rollback.tripped_at) < limit
        and (rollback.state.ended or rollback.state is RollbackState.BLOCKED)
        and rollback.deploy_id not in deploys
        and rollback is not newest
        and rollback is not latching
    ]
