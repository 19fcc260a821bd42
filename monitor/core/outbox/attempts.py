"""What an attempt makes of outbox rows: before it, after it, and after a crash."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from monitor.core.model.notice import Delivered, DeliveryState, Refused, TryAgain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from monitor.core.model.notice import Delivery, Receipt
    from monitor.core.outbox.errand import Errand

FIRST_WAIT: Final = timedelta(seconds=1)
LONGEST_WAIT: Final = timedelta(minutes=5)
LONGEST_WISH: Final = timedelta(hours=1)
"""However long a receiver asks us to wait, it is told something after an hour."""

_TOLD_TOGETHER: Final = "told together with "


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
    """Count an attempt, before it is made; only the row whose key is sent is in flight.

    What a digest holds is written on its rows now, so that after a crash it is the same again.
    """
    leads = errand.row.id if errand.digest else ""
    row = replace(
        errand.row,
        state=DeliveryState.INFLIGHT,
        attempts=errand.row.attempts + 1,
        told_in=leads,
    )
    covers = errand.covers
    if errand.digest:
        covers = tuple(
            one if one.told_in == leads else replace(one, told_in=leads) for one in covers
        )

    return replace(
        errand,
        row=row,
        covers=covers,
        message=replace(errand.message, state=row.state, attempts=row.attempts),
    )


def requeue(dead: Delivery) -> Delivery:
    """Queue again what was given up, with all that is known of its attempts."""
    return replace(dead, state=DeliveryState.QUEUED, not_before=None, told_in="")


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
            return tuple(
                replace(
                    one,
                    state=DeliveryState.DEAD,
                    not_before=None,
                    last_error=error,
                    told_in="",
                )
                for one in errand.rows
            )
        case TryAgain():
            return (_queue_again(row, receipt, now, jitter),)


def back_off(attempts: int, *, jitter: float) -> timedelta:
    """Give how long to wait after so many attempts: full jitter, from 1 s doubling up to 5 min."""
    longest = min(FIRST_WAIT * (1 << min(max(attempts - 1, 0), 16)), LONGEST_WAIT)

    return longest * jitter


def _take_up(row: Delivery, now: datetime) -> Delivery:
    if row.not_before is not None:
        longest = LONGEST_WISH if row.asked_to_wait else back_off(row.attempts, jitter=1)
        row = replace(row, not_before=min(row.not_before, now + longest))
    if row.state is DeliveryState.INFLIGHT:
        row = replace(row, state=DeliveryState.QUEUED, maybe_sent=True)

    return row


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
