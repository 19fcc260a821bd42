"""A notice as an alert of Alertmanager: the labels by which it is known, and what it says."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from monitor.core import wording
from monitor.core.model.incident import IncidentClass
from monitor.core.model.notice import NoticeEvent
from monitor.core.wording.told import standing
from monitor.outbound import is_usable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from monitor.core.model.notice import Delivery, Notice

_NAMES: Final = {
    IncidentClass.OUTAGE: "ServiceOutage",
    IncidentClass.FINDING: "ServiceFinding",
    IncidentClass.MONITOR: "MonitorBlind",
}
_TEST: Final = "NotificationTest"
_SEEN_AT_LEAST: Final = timedelta(minutes=1)
"""How long something fires of which nobody was told until it was over, so that anybody is."""
_TEST_LASTS: Final = timedelta(minutes=2)
_NEWS: Final = frozenset(
    {
        NoticeEvent.ACKNOWLEDGED,
        NoticeEvent.ESCALATED,
        NoticeEvent.REMINDER,
        NoticeEvent.ROLLBACK,
        NoticeEvent.UPDATED,
    }
)
"""What is news of an alert, of which the summary still has to say what is wrong."""

_MOST_CHECKS: Final = 20
_LONGEST: Final = 2_000


def write_labels(notice: Notice, own: Mapping[str, str]) -> dict[str, str]:
    """Give what an alert is known by, which stays for as long as its incident has its severity.

    The incident's id is none of it: a silence that somebody sets for this service has to hold when
    it fails the next time.
    """
    labels = {
        "alertname": _TEST if notice.event is NoticeEvent.TEST else _NAMES[notice.klass],
        "service": notice.service,
        "environment": notice.environment,
        "class": notice.klass.value,
        "severity": notice.severity.value,
        **own,
    }

    return {name: text for name, text in labels.items() if text}


def read_labels(reference: str | None) -> dict[str, str]:
    """Read the labels that were sent; none where the reference is of another kind of receiver."""
    try:
        labels = json.loads(reference or "{}")
    except ValueError:
        return {}

    return labels if isinstance(labels, dict) else {}


def write_alert(
    delivery: Delivery,
    labels: Mapping[str, str],
    now: datetime,
    *,
    lasts: timedelta,
    untold: bool = False,
) -> dict[str, Any]:
    """Write an alert: one that fires ends by itself after it `lasts` so long.

    What is over and was told to nobody (`untold`) fires for a moment all the same, since nobody is
    told of an end alone.
    """
    notice = delivery.notice
    ends = notice.resolved_at or now + lasts
    if untold:
        ends = now + _SEEN_AT_LEAST
    if notice.event is NoticeEvent.TEST:
        ends = now + _TEST_LASTS
    alert = {
        "labels": dict(labels),
        "annotations": _annotate(delivery),
        "startsAt": _iso(min(notice.since, ends)),
        "endsAt": _iso(ends),
    }
    place = next((link.url for link in notice.links if link.name == "incident"), "")

    return {**alert, "generatorURL": place} if is_usable(place) else alert


def write_end(delivery: Delivery, labels: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """Write the end of the alert that an incident was before its severity changed."""
    return {**write_alert(delivery, labels, now, lasts=timedelta()), "endsAt": _iso(now)}


def _annotate(delivery: Delivery) -> dict[str, str]:
    notice = delivery.notice
    failing = [one for one in notice.members if one.closed_at is None] or notice.members
    checks = [wording.member_line(one) for one in failing[:_MOST_CHECKS]]
    if len(failing) > _MOST_CHECKS:
        checks.append(f"and {len(failing) - _MOST_CHECKS} more")
    is_news = notice.event in _NEWS and notice.resolved_at is None
    told = {
        "summary": standing(notice) if is_news else notice.headline,
        "news": notice.headline if is_news else "",
        "description": wording.whole_text(notice),
        "checks": "\n".join(checks),
        "incident": notice.incident,
        "idempotency_key": delivery.key,
        "acknowledged_by": notice.acknowledged_by,
        "contacts": ", ".join(f"{one.role}: {one.name}" for one in notice.contacts),
        **{f"{link.name}_url": link.url for link in notice.links if link.name.isidentifier()},
    }

    return {name: text[:_LONGEST] for name, text in told.items() if text}


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
