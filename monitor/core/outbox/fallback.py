"""Who is told instead, where a receiver cannot be told: the fallback of its route."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core import wording
from monitor.core.alerting.routing import find_fallback
from monitor.core.model.notice import Delivery, DeliveryState, NoticeEvent

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from monitor.core.model.notice import Notice
    from monitor.core.model.service import Directory
    from monitor.core.situation import Situation

LATE: Final = timedelta(minutes=1)
"""After so long the fallback is told as well."""

_NOT_WORTH_IT: Final = frozenset({NoticeEvent.ACKNOWLEDGED, NoticeEvent.TEST})
_ENDS: Final = frozenset({NoticeEvent.RESOLVED})
_SUFFIX: Final = "-instead"


def stand_in(
    dead: Iterable[Delivery], directory: Directory, situation: Situation, now: datetime
) -> tuple[Delivery, ...]:
    """Queue for the fallback what a receiver will never take.

    Where its route has none and nobody else was told of it, that is the first other notifier of
    the configuration: what is urgent must not be lost over a revoked key. The same is true where
    the fallback refuses as well; whoever was tried is not tried again, so that nothing goes in a
    circle. The end goes where the beginning went, should it be queued for the receiver already.
    """
    queued: dict[str, Delivery] = {}
    for row in dead:
        if row.notice.event in _NOT_WORTH_IT:
            continue
        name = _find_fallback(row, directory)
        if name is None or row.instead_of or _has_refused(name, row, situation):
            name = _find_any(row, directory, situation)
        if name is None:
            continue
        for one in (row, *_pending_ends(row, situation)):
            if not _is_told(name, one.notice, situation):
                stands_in = _stand_in(one, name, "could not be told", situation, now)
                queued[stands_in.id] = stands_in

    return tuple(queued.values())


def stand_in_late(
    notifier: str, directory: Directory, situation: Situation, now: datetime
) -> tuple[Delivery, ...]:
    """Queue for the fallback what a receiver was not told for a minute; it may still be told.

    The end is worth that where the fallback knows of the beginning.
    """
    if not any(route.fallback for route in directory.routes):
        return ()

    late = [
        row
        for rows in situation.pending_incidents(notifier).values()
        for row in rows.values()
        if is_late(row, now, LATE) and not _has_stand_in(row, situation)
    ]
    queued: dict[str, Delivery] = {}
    for row in sorted(late, key=lambda row: row.notice.sequence):
        if row.instead_of or row.notice.event in _NOT_WORTH_IT | {NoticeEvent.REMINDER}:
            continue
        name = _find_fallback(row, directory)
        if name is None or _is_told(name, row.notice, situation):
            continue
        if row.notice.event in _ENDS and not _knows(name, row.notice, situation, queued.values()):
            continue
        stands_in = _stand_in(row, name, "could not be told so far", situation, now)
        queued[stands_in.id] = stands_in

    return tuple(queued.values())


def is_late(row: Delivery, now: datetime, after: timedelta) -> bool:
    """Whether a notice has waited for so long."""
    return row.pending and now - row.queued_at >= after


def _find_fallback(row: Delivery, directory: Directory) -> str | None:
    """Give who stands in for the receiver of a notice.

    It may have come to it by another route than that which its incident has now.
    """
    name = find_fallback(row.notifier, row.notice, directory) or next(
        (
            route.fallback
            for route in directory.routes
            if row.notifier in route.notify and route.fallback != row.notifier
        ),
        None,
    )

    return name if name in directory.notifiers else None


def _find_any(row: Delivery, directory: Directory, situation: Situation) -> str | None:
    """Give another notifier, unless somebody else was told of the same, or will be."""
    others = [name for name in directory.notifiers if name not in (row.notifier, row.instead_of)]
    if any(_is_told(name, row.notice, situation) for name in others):
        return None

    tried = {
        other.notifier
        for other in situation.deliveries_of(row.notice.incident)
        if other.notice.sequence == row.notice.sequence
    }

    return next((name for name in others if name not in tried), None)


def _has_stand_in(row: Delivery, situation: Situation) -> bool:
    return f"{row.id}{_SUFFIX}" in situation.deliveries


def _has_refused(notifier: str, row: Delivery, situation: Situation) -> bool:
    """Whether a notifier refused what it was to tell in place of another, since that was queued."""
    return any(
        other.notifier == notifier
        and other.notice.sequence == row.notice.sequence
        and other.state is DeliveryState.DEAD
        and other.queued_at >= row.queued_at
        for other in situation.deliveries_of(row.notice.incident)
    )


def _is_told(notifier: str, notice: Notice, situation: Situation) -> bool:
    """Whether a notifier was told just this, or will be."""
    return any(
        other.notifier == notifier
        and other.notice.sequence == notice.sequence
        and other.state is not DeliveryState.DEAD
        for other in situation.deliveries_of(notice.incident)
    )


def _knows(notifier: str, notice: Notice, situation: Situation, queued: Iterable[Delivery]) -> bool:
    """Whether a notifier was told anything of an incident, or will be."""
    return any(
        other.notifier == notifier and other.state is not DeliveryState.DEAD
        for other in situation.deliveries_of(notice.incident)
    ) or any(
        other.notifier == notifier and other.notice.incident == notice.incident for other in queued
    )


def _pending_ends(row: Delivery, situation: Situation) -> list[Delivery]:
    return [
        other
        for other in situation.deliveries_of(row.notice.incident)
        if other.notifier == row.notifier
        and other.pending
        and other.notice.sequence > row.notice.sequence
        and other.notice.event in _ENDS
    ]


def _stand_in(
    row: Delivery, notifier: str, why: str, situation: Situation, now: datetime
) -> Delivery:
    notice = replace(row.notice, headline=wording.instead(row.notice, f"{row.notifier} {why}"))
    earlier = situation.deliveries.get(f"{row.id}{_SUFFIX}")
    another = earlier is not None and earlier.notifier != notifier
    suffix = f"{_SUFFIX}-{notifier}" if another else _SUFFIX

    return Delivery(
        id=f"{row.id}{suffix}",
        key=f"{row.key}{suffix}",
        notifier=notifier,
        notice=notice,
        queued_at=now,
        instead_of=row.notifier,
    )
