"""Dead letters: what receivers refused, and how it is queued once more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.core.alerting.planning import deliver
from monitor.core.model.notice import DeliveryState, NoticeEvent
from monitor.core.outbox.attempts import requeue

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.notice import Delivery
    from monitor.core.situation import Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What one notifier has not told: how much waits, since when, and how much it refused."""

    notifier: str
    undelivered: int
    oldest: datetime | None
    dead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeued:
    """What is queued again, in order, and what is left since it would be told after its end."""

    rows: tuple[Delivery, ...]
    left: tuple[Delivery, ...]


def requeue_dead(notifier: str, situation: Situation) -> Requeued:
    """Queue the dead letters of a notifier again.

    Not what came before something that it was told of the same incident since: nobody would
    understand a beginning after the end. What is over has its end told as well: who refused the
    beginning was not to be told of it.
    """
    dead = sorted(
        (
            row
            for row in situation.deliveries.values()
            if row.notifier == notifier and row.state is DeliveryState.DEAD
        ),
        key=lambda row: (row.queued_at, row.notice.sequence, row.id),
    )
    left = [row for row in dead if _is_past(row, situation)]
    rows = [requeue(row) for row in dead if row not in left]
    ends = [
        end
        for incident in dict.fromkeys(row.notice.incident for row in rows)
        for end in _missing_end(notifier, incident, situation)
    ]

    return Requeued(rows=(*rows, *ends), left=tuple(left))


def list_backlogs(notifiers: tuple[str, ...], situation: Situation) -> list[Backlog]:
    """Give what each notifier has not told, also one that is gone and has something left."""
    dead: dict[str, int] = {}
    for row in situation.deliveries.values():
        if row.state is DeliveryState.DEAD:
            dead[row.notifier] = dead.get(row.notifier, 0) + 1

    names = dict.fromkeys((*notifiers, *situation.pending_notifiers(), *dead))
    backlogs = []
    for name in names:
        pending = situation.pending_deliveries(name)
        oldest = pending[0].queued_at if pending else None
        backlogs.append(
            Backlog(notifier=name, undelivered=len(pending), oldest=oldest, dead=dead.get(name, 0))
        )

    return backlogs


def _missing_end(notifier: str, incident: str, situation: Situation) -> list[Delivery]:
    """Give the end of an incident for whom it was never queued, as others were told of it."""
    ends = [
        row for row in situation.deliveries_of(incident) if row.notice.event is NoticeEvent.RESOLVED
    ]
    if any(row.notifier == notifier for row in ends):
        return []

    own = next((row for row in ends if not row.instead_of), None)

    return deliver(own.notice, (notifier,), own.queued_at) if own else []


def _is_past(row: Delivery, situation: Situation) -> bool:
    return any(
        other.notifier == row.notifier
        and other.state is DeliveryState.DELIVERED
        and other.notice.sequence > row.notice.sequence
        for other in situation.deliveries_of(row.notice.incident)
    )
