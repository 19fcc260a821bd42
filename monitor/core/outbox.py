"""How outbox rows go on: what is due, what is told together, what an attempt made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from monitor.core import wording
from monitor.core.model.incident import IncidentClass
from monitor.core.model.notice import (
    Delivered,
    Delivery,
    DeliveryState,
    Earlier,
    NoticeEvent,
    Refused,
    TryAgain,
)
from monitor.core.model.rollback import RollbackState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from monitor.core.model.notice import Notice, Receipt

FIRST_WAIT: Final = timedelta(seconds=1)
LONGEST_WAIT: Final = timedelta(minutes=5)
LONGEST_WISH: Final = timedelta(hours=1)
"""However long a receiver asks us to wait, it is told something after an hour."""

_TOLD_TOGETHER: Final = "told together with "
_BEGINNINGS: Final = frozenset({NoticeEvent.OPENED, NoticeEvent.BLIND})


class Why(StrEnum):
    """Why an attempt did not deliver: the closed set of a receipt's `reason`."""

    UNREACHABLE = "unreachable"
    TLS = "tls"
    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection_lost"
    BAD_ANSWER = "bad_answer"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    REDIRECTED = "redirected"
    REFUSED = "refused"
    MISCONFIGURED = "misconfigured"
    STOPPED = "stopped"
    INTERNAL = "internal"


_NOT_SENT: Final = frozenset({Why.UNREACHABLE, Why.TLS, Why.RATE_LIMITED, Why.MISCONFIGURED})
"""Troubles in which the receiver cannot have taken the notice; after all others it may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One message to bring: a delivery, and the earlier ones that it tells as well.

    `row` is the outbox row whose key the message carries; `message` is what is sent, which differs
    from it where several are told together. `covers` are the earlier rows, oldest first.
    """

    row: Delivery
    message: Delivery
    covers: tuple[Delivery, ...] = ()

    @property
    def rows(self) -> tuple[Delivery, ...]:
        """All rows that are settled when the message is delivered, oldest first."""
        return (*self.covers, self.row)

    @property
    def not_before(self) -> datetime | None:
        """The earliest moment of the next attempt: the latest of its rows."""
        return max((row.not_before for row in self.rows if row.not_before), default=None)


def plan_errands(pending: Sequence[Delivery]) -> list[Errand]:
    """Give the next message of each incident, of what one notifier has to tell in queued order.

    A later notice of an incident waits for the earlier ones. When an incident is over and nobody
    was told of its beginning yet, one message tells both, under the key of its end; unless that
    would keep quiet about a rollback, because another followed.
    """
    incidents: dict[str, list[Delivery]] = {}
    for delivery in pending:
        incidents.setdefault(delivery.notice.incident, []).append(delivery)

    return [_plan_errand(rows) for rows in incidents.values()]


def hold_until(pending: Iterable[Delivery]) -> datetime | None:
    """Give until when a receiver asked us to wait, which is about all that it is to be told."""
    return max(
        (row.not_before for row in pending if row.not_before is not None and row.asked_to_wait),
        default=None,
    )


def take_up(pending: Iterable[Delivery], now: datetime) -> tuple[Delivery, ...]:
    """Queue again what an earlier process was sending when it ended: it may have arrived.

    None waits longer than it was told to, should the clock have been set back in between.
    """
    taken = ((row, _take_up(row, now)) for row in pending)

    return tuple(after for before, after in taken if after != before)


def begin(errand: Errand) -> Errand:
    """Count an attempt, before it is made; only the row whose key is sent is in flight."""
    row = replace(errand.row, state=DeliveryState.INFLIGHT, attempts=errand.row.attempts + 1)

    return replace(
        errand,
        row=row,
        message=replace(errand.message, state=row.state, attempts=row.attempts),
    )


def settle(
    errand: Errand, receipt: Receipt, now: datetime, *, jitter: float
) -> tuple[Delivery, ...]:
    """Give the rows as an attempt leaves them; `jitter` is a random number from 0 to 1."""
    row = errand.row
    match receipt:
        case Delivered(reference=reference):
            told = replace(
                row,
                state=DeliveryState.DELIVERED,
                delivered_at=now,
                reference=reference,
                not_before=None,
                last_error="",
            )
            return (*_told_with(errand, told), told)
        case Refused(error=error):
            dead = replace(row, state=DeliveryState.DEAD, not_before=None, last_error=error)
            return (
                *(
                    replace(one, state=DeliveryState.DEAD, last_error=error)
                    for one in errand.covers
                ),
                dead,
            )
        case TryAgain():
            return (_queue_again(row, receipt, now, jitter),)


def back_off(attempts: int, *, jitter: float) -> timedelta:
    """Give how long to wait after so many attempts: full jitter, from 1 s doubling up to 5 min."""
    longest = min(FIRST_WAIT * (1 << min(max(attempts - 1, 0), 16)), LONGEST_WAIT)

    return longest * jitter


def find_earlier(deliveries: Iterable[Delivery], errand: Errand) -> Earlier:
    """Give what the receiver of an errand has of its incident: the newest reference counts."""
    told = [
        delivery
        for delivery in deliveries
        if delivery.reference is not None
        and delivery.notifier == errand.row.notifier
        and delivery.notice.incident == errand.row.notice.incident
    ]
    newest = max(told, key=lambda one: (one.notice.sequence, one.queued_at), default=None)

    return Earlier(reference=newest.reference) if newest else Earlier()


def _take_up(row: Delivery, now: datetime) -> Delivery:
    if row.not_before is not None:
        longest = LONGEST_WISH if row.asked_to_wait else back_off(row.attempts, jitter=1)
        row = replace(row, not_before=min(row.not_before, now + longest))
    if row.state is DeliveryState.INFLIGHT:
        row = replace(row, state=DeliveryState.QUEUED, maybe_sent=True)

    return row


def _plan_errand(rows: Sequence[Delivery]) -> Errand:
    # By number and not by time: a clock that was set back would turn them around.
    rows = sorted(rows, key=lambda row: row.notice.sequence)
    first = rows[0]
    last = next((row for row in rows if row.notice.event is NoticeEvent.RESOLVED), None)
    if last is None or first.notice.event not in _BEGINNINGS:
        return Errand(row=first, message=first)

    covers = tuple(rows[: rows.index(last)])
    if any(_tells_of_another_rollback(row.notice, last.notice) for row in covers):
        return Errand(row=first, message=first)

    message = replace(
        last,
        notice=_tell_both(first.notice, last.notice),
        maybe_sent=any(row.maybe_sent for row in (*covers, last)),
    )

    return Errand(row=last, message=message, covers=covers)


def _tells_of_another_rollback(notice: Notice, end: Notice) -> bool:
    """Whether a notice tells how a rollback ended of which the end of the incident says nothing."""
    rollback = notice.rollback
    if rollback is None or not RollbackState(rollback.state).ended:
        return False

    return end.rollback is None or end.rollback.id != rollback.id


def _tell_both(begin: Notice, end: Notice) -> Notice:
    """Say in the end's words that it is over, and in the beginning's what it was."""
    over = end.resolved_at or end.at
    was = "could not be judged" if end.klass is IncidentClass.MONITOR else "was down"
    if end.klass is IncidentClass.FINDING:
        was = "needed attention"
    about = "the monitor's checks" if end.klass is IncidentClass.MONITOR else end.service
    said = (
        f"{about} {was} from {wording.time_text(end.since)} to {wording.time_text(over)}: "
        f"{wording.without_rollback(begin)}. It is over: {end.headline}"
    )

    worst = min(begin.severity, end.severity, key=lambda severity: severity.rank)

    return replace(end, headline=said, severity=worst)


def _told_with(errand: Errand, told: Delivery) -> tuple[Delivery, ...]:
    return tuple(
        replace(
            row,
            state=DeliveryState.DELIVERED,
            delivered_at=told.delivered_at,
            not_before=None,
            last_error=f"{_TOLD_TOGETHER}{told.id}",
        )
        for row in errand.covers
    )


def _queue_again(row: Delivery, receipt: TryAgain, now: datetime, jitter: float) -> Delivery:
    wait = back_off(row.attempts, jitter=jitter)
    if receipt.after is not None:
        wait = max(wait, min(receipt.after, LONGEST_WISH))
    if receipt.reason == Why.STOPPED:
        wait = timedelta()

    return replace(
        row,
        state=DeliveryState.QUEUED,
        not_before=now + wait,
        asked_to_wait=receipt.after is not None,
        last_error=receipt.error,
        maybe_sent=row.maybe_sent or receipt.reason not in _NOT_SENT,
    )
