"""What a run that told nobody left untold: the next one that tells anybody makes up for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core import wording
from monitor.core.alerting.planning import deliver, plan, tell_beginning
from monitor.core.alerting.routing import find_receivers, find_told
from monitor.core.incidents import IncidentStep, News, NewsKind
from monitor.core.model.changes import NOTHING, Changes
from monitor.core.model.notice import DeliveryState, NoticeEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Set
    from datetime import datetime

    from monitor.core.model.incident import Incident
    from monitor.core.model.notice import Delivery
    from monitor.core.model.service import Directory
    from monitor.core.situation import Situation

_LATEST: Final = timedelta(days=1)
"""How long ago an incident may have ended for its end to be news still."""


def tell_missed(directory: Directory, situation: Situation, now: datetime) -> Changes:
    """Queue the beginning of what is open for whom it did not reach, and ends that were not told.

    Whoever was never told of an incident is not told of its end. Who is no notifier any more
    counts as nobody: others have to take over.
    """
    if not directory.notifiers:
        return NOTHING

    first: dict[str, datetime] = {}
    known, ended = set(), set()
    for delivery in situation.deliveries.values():
        if delivery.notifier not in directory.notifiers:
            continue
        id, queued_at = delivery.notice.incident, delivery.queued_at
        first[id] = min(first.get(id, queued_at), queued_at)
        if delivery.state is not DeliveryState.DEAD:
            known.add(id)
        if delivery.notice.event is NoticeEvent.RESOLVED:
            ended.add(id)

    beginnings = tuple(_beginnings(situation, first.keys(), now))
    ends = tuple(_ends(situation, known - ended, now))
    planned = plan(IncidentStep(news=(*beginnings, *ends)), directory, situation, now)
    late = list(_ends_for_some(ended, directory, situation, now))
    late += [
        row
        for incident in situation.open_incidents()
        if incident.id in first and not _needs_nobody(incident)
        for row in _tell_others(incident, directory, situation, now)
    ]

    return planned + Changes(incidents=tuple(_begun(situation, first)), deliveries=tuple(late))


def _begun(situation: Situation, first: Mapping[str, datetime]) -> Iterator[Incident]:
    """Give what people know of although no clock runs: earlier versions had none."""
    for incident in situation.open_incidents():
        if incident.attention.told_at is None and incident.id in first:
            attention = replace(incident.attention, told_at=first[incident.id])
            yield replace(incident, attention=attention)


def _beginnings(situation: Situation, known: Set[str], now: datetime) -> Iterator[News]:
    for incident in situation.open_incidents():
        if incident.id not in known and not _is_taken(incident):
            text = wording.headline(incident, at=now)
            yield News(kind=NewsKind.OPENED, incident=incident, text=text)


def _ends_for_some(
    ended: Iterable[str], directory: Directory, situation: Situation, now: datetime
) -> Iterator[Delivery]:
    """Queue the end, which others have, for who was no notifier when it was told.

    What waits for a notifier that comes back may be over by then: that is told with its end,
    however long ago it was.
    """
    for id in sorted(ended):
        rows = situation.deliveries_of(id)
        ends = [row for row in rows if row.notice.event is NoticeEvent.RESOLVED]
        end = next((row.notice for row in ends if not row.instead_of), None)
        if end is None or end.resolved_at is None:
            continue
        is_news = now - end.resolved_at <= _LATEST
        begun = dict.fromkeys(
            row.notifier
            for row in rows
            if row.notice.sequence < end.sequence
            and (row.pending or (is_news and row.state is DeliveryState.DELIVERED))
        )
        has_end = {row.notifier for row in ends}
        receivers = [one for one in begun if one in directory.notifiers and one not in has_end]
        yield from deliver(end, receivers, now)


def _needs_nobody(incident: Incident) -> bool:
    """Whether nobody is to hear of an incident now who has not so far."""
    return incident.attention.hold is not None or _is_taken(incident)


def _is_taken(incident: Incident) -> bool:
    """Whether somebody who was told has taken an incident on: it needs no other."""
    return incident.acknowledgement is not None and incident.attention.told_at is not None


def _tell_others(
    incident: Incident, directory: Directory, situation: Situation, now: datetime
) -> list[Delivery]:
    """Queue the beginning for the routes of now in place of what reaches nobody any more.

    Where all who are there refused it, they are asked once more: a changed configuration may have
    mended one of them, or named another to stand in.
    """
    rows = situation.deliveries_of(incident.id)
    receivers = find_receivers(incident, directory)
    if find_told(incident.id, directory, situation):
        if not any(_is_stranded(row, directory) for row in rows):
            return []
        tried = {row.notifier for row in rows}
        receivers = tuple(name for name in receivers if name not in tried)

    return tell_beginning(incident, receivers, directory, situation, now)


def _is_stranded(row: Delivery, directory: Directory) -> bool:
    """Whether a notice did not reach its receiver, which is no notifier any more."""
    return row.state is not DeliveryState.DELIVERED and row.notifier not in directory.notifiers


def _ends(situation: Situation, known: Set[str], now: datetime) -> Iterator[News]:
    for id in sorted(known):
        incident = situation.incidents.get(id)
        if incident is None or incident.resolved_at is None:
            continue
        if now - incident.resolved_at <= _LATEST:
            text = wording.headline(incident, at=incident.resolved_at)
            yield News(kind=NewsKind.RESOLVED, incident=incident, text=text)
