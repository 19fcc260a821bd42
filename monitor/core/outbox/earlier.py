"""What a receiver has already of an incident: the message to follow, or the digest it was in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.model.notice import DeliveryState, Earlier

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery
    from monitor.core.outbox.errand import Errand
    from monitor.core.situation import Situation


def find_earlier(situation: Situation, errand: Errand) -> Earlier:
    """Give what the receiver of an errand has of its incident: the newest reference counts."""
    if errand.digest:
        return Earlier()

    incident, notifier = errand.row.notice.incident, errand.row.notifier
    told = sorted(
        (row for row in situation.deliveries_of(incident) if row.notifier == notifier),
        key=lambda row: (row.notice.sequence, row.queued_at),
        reverse=True,
    )
    reference = next((_reference(row) for row in told if _reference(row) is not None), None)
    if reference is not None:
        return Earlier(reference=reference)

    digest = next((led for row in told if (led := _digest_of(row, situation))), None)
    if digest is None:
        return Earlier()

    others = {row.notice.incident for row in situation.told_in(digest.id)} - {incident}

    return Earlier(digest=digest.key, others=sum(_is_open(other, situation) for other in others))


def has_reference(situation: Situation, notifier: str, incident: str) -> bool:
    """Say whether a receiver has a message about an incident that can be followed."""
    return any(
        row.notifier == notifier and _reference(row) is not None
        for row in situation.deliveries_of(incident)
    )


def _reference(row: Delivery) -> str | None:
    """Give what the receiver called the message about one incident; that of a digest is none."""
    return row.reference if row.told_in != row.id else None


def _digest_of(row: Delivery, situation: Situation) -> Delivery | None:
    """Give the delivery whose digest told of a row."""
    if row.state is not DeliveryState.DELIVERED or not row.told_in:
        return None

    leading = situation.deliveries.get(row.told_in)

    return leading if leading is not None and leading.told_in == leading.id else None


def _is_open(incident: str, situation: Situation) -> bool:
    known = situation.incidents.get(incident)

    return known is not None and known.open
