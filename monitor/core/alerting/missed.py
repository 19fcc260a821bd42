"""What a run that told nobody left untold: the next one that tells anybody makes up for it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core import wording
from monitor.core.alerting.planning import plan
from monitor.core.incidents import IncidentStep, News, NewsKind
from monitor.core.model.notice import NoticeEvent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from monitor.core.model.notice import Delivery
    from monitor.core.model.service import Directory
    from monitor.core.situation import Situation

_LATEST: Final = timedelta(days=1)
"""How long ago an incident may have ended for its end to be news still."""


def tell_missed(directory: Directory, situation: Situation, now: datetime) -> tuple[Delivery, ...]:
    """Queue the beginning of what is open and nobody was told of, and ends that were not told.

    Whoever was never told of an incident is not told of its end.
    """
    if not directory.notifiers:
        return ()

    told: dict[str, set[str]] = {}
    ended = set()
    for delivery in situation.deliveries.values():
        told.setdefault(delivery.notice.incident, set()).add(delivery.notifier)
        if delivery.notice.event is NoticeEvent.RESOLVED:
            ended.add(delivery.notice.incident)

    known = told.keys()
    beginnings = tuple(_beginnings(situation, known - ended, now))
    ends = tuple(_ends(situation, known - ended, now))

    return (
        *plan(IncidentStep(news=beginnings), directory, situation, now),
        *(
            delivery
            for delivery in plan(IncidentStep(news=ends), directory, situation, now)
            if delivery.notifier in told[delivery.notice.incident]
        ),
    )


def _beginnings(situation: Situation, known: set[str], now: datetime) -> Iterator[News]:
    for incident in situation.open_incidents():
        if incident.id not in known:
            text = wording.headline(incident, at=now)
            yield News(kind=NewsKind.OPENED, incident=incident, text=text)


def _ends(situation: Situation, known: set[str], now: datetime) -> Iterator[News]:
    for id in sorted(known):
        incident = situation.incidents.get(id)
        if incident is None or incident.resolved_at is None:
            continue
        if now - incident.resolved_at <= _LATEST:
            text = wording.headline(incident, at=incident.resolved_at)
            yield News(kind=NewsKind.RESOLVED, incident=incident, text=text)
