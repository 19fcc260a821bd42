"""What a notice is to PagerDuty: which events about which alert, and what they hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from monitor.core import wording
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import IncidentClass
from monitor.core.model.notice import NoticeEvent
from monitor.core.model.rollback import RollbackState
from monitor.notifiers._payload import payload
from monitor.outbound import is_usable

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.notice import Delivery, Earlier, Notice, RollbackSummary

LARGEST: Final = 512_000
"""How many bytes an event may have; PagerDuty refuses what is larger than 512 KB."""

_LONGEST_KEY: Final = 255
_LONGEST_SUMMARY: Final = 1024
_LONGEST_NAME: Final = 255
_MOST_LINKS: Final = 20
_ROOM: Final = 8_000  # for all that is beside the details
_CLIENT: Final = "production-monitor"
_SEVERITIES: Final = {
    Severity.CRITICAL: "critical",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "info",
}
_DISPENSABLE: Final = ("evidence", "reasons", "checks", "digest", "checklist")
"""What is left out of the details, in this order, where all of it is too much."""

_WELL: Final = frozenset({RollbackState.RECOVERED, RollbackState.CANCELLED, RollbackState.BLOCKED})
_CHANGED: Final = frozenset(
    {
        RollbackState.RECOVERED,
        RollbackState.NOT_RECOVERED,
        RollbackState.INCONCLUSIVE,
        RollbackState.FAILED,
        RollbackState.UNCERTAIN,
    }
)
"""The ends of rollbacks that have, or may have, changed something in production."""


class Action(StrEnum):
    """What an event does to the alert of its key."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The events of one notice, in order, all about the alert `dedup_key`.

    `reference` is kept where the alert is that of the incident alone. A `quiet` one tells of what
    is over, so that it is of the lowest severity. `begins`: it is the first of an outage. `changed`
    says that a rollback changed production.
    """

    dedup_key: str
    actions: tuple[Action, ...]
    reference: str | None = None
    quiet: bool = False
    begins: bool = False
    changed: bool = False


def plan_alerts(delivery: Delivery, earlier: Earlier) -> Plan:
    """Say what a notice does to which alert.

    An incident that was told in a digest has no alert of its own: what becomes of it is told in
    the digest's, which ends with the last of them. An end of which nobody knew the beginning is an
    alert that is over at once, so that it is on record.
    """
    notice = delivery.notice
    own = _short(notice.incident)
    match notice.event:
        case NoticeEvent.TEST:
            return Plan(dedup_key=own, actions=(Action.TRIGGER, Action.RESOLVE))
        case NoticeEvent.DIGEST:
            return Plan(dedup_key=_short(delivery.key), actions=(Action.TRIGGER,))
        case NoticeEvent.ROLLBACK:
            return _plan_rollback(notice, earlier, own)
        case NoticeEvent.RESOLVED | NoticeEvent.ACKNOWLEDGED if _is_in_digest(earlier):
            action = _ACTS[notice.event]
            return Plan(
                dedup_key=_short(earlier.digest), actions=() if earlier.others else (action,)
            )
        case NoticeEvent.RESOLVED if earlier.reference is None:
            over = (Action.TRIGGER, Action.RESOLVE)
            return Plan(dedup_key=own, actions=over, reference=own, quiet=True)
        case NoticeEvent.RESOLVED | NoticeEvent.ACKNOWLEDGED:
            return Plan(dedup_key=own, actions=(_ACTS[notice.event],), reference=own)
        case NoticeEvent.OPENED if notice.klass is IncidentClass.OUTAGE:
            return replace(_trigger(earlier, own), begins=True)
        case _:
            return _trigger(earlier, own)


def write_alert(
    delivery: Delivery, action: Action, dedup_key: str, *, quiet: bool = False
) -> dict[str, Any]:
    """Write one event, without the routing key."""
    event: dict[str, Any] = {"event_action": action.value, "dedup_key": dedup_key}
    if action is not Action.TRIGGER:
        return event

    notice = delivery.notice
    named = {"component": _component(notice), "group": notice.environment}
    body = {
        **_write_summary(notice, notice.since),
        "severity": "info" if quiet else _SEVERITIES[notice.severity],
        **{name: text[:_LONGEST_NAME] for name, text in named.items() if text},
        "class": notice.klass.value,
    }
    place = next((link.url for link in notice.links if link.name == "incident"), "")
    client = {"client_url": place} if is_usable(place) else {}
    event |= {"payload": body, "links": _links(notice), "client": _CLIENT, **client}
    body["custom_details"] = _fit(_details(delivery), LARGEST - _ROOM - _size(event))

    return event


def write_short(event: dict[str, Any]) -> dict[str, Any]:
    """Give an event with nothing but what has to be there, for when the whole is refused."""
    kept = ("summary", "source", "severity")
    body = {name: event["payload"][name] for name in kept}

    return {**{name: event[name] for name in ("event_action", "dedup_key")}, "payload": body}


def write_changes(delivery: Delivery, plan: Plan) -> list[dict[str, Any]]:
    """Write what changed in production, without the routing key: a deploy, and what a rollback did.

    The deploy is told with the outage that began while it was live, at its own time.
    """
    notice = delivery.notice
    changes = []
    if plan.begins and notice.deploy and notice.deployed_at is not None:
        said = f"deploy of {notice.service}: {notice.deploy}"
        changes.append(_write_change(delivery, said, notice.deployed_at))
    if plan.changed:
        changes.append(_write_change(delivery, notice.headline, notice.at))

    return changes


def _write_change(delivery: Delivery, said: str, at: datetime) -> dict[str, Any]:
    details = _details(delivery)
    kept = ("service", "environment", "incident", "rollback", "idempotency_key")

    return {
        "payload": {
            **_write_summary(replace(delivery.notice, headline=said), at),
            "custom_details": {name: details[name] for name in kept if name in details},
        },
        "links": _links(delivery.notice),
    }


_ACTS: Final = {
    NoticeEvent.RESOLVED: Action.RESOLVE,
    NoticeEvent.ACKNOWLEDGED: Action.ACKNOWLEDGE,
}


def _plan_rollback(notice: Notice, earlier: Earlier, own: str) -> Plan:
    """Tell of a rollback in the alert of its incident, or of what needs a person in one of its own.

    What went well opens no alert of which nothing would ever tell the end.
    """
    rollback = notice.rollback
    well = rollback is None or _went_well(rollback)
    changed = rollback is not None and rollback.state in _CHANGED
    told = earlier.reference is not None or _is_in_digest(earlier)
    if notice.resolved_at is None and (told or not well):
        return replace(_trigger(earlier, own), changed=changed)
    if rollback is None or well:
        return Plan(dedup_key=own, actions=(), changed=changed)

    key = _short(f"{notice.incident}/{rollback.id}")

    return Plan(dedup_key=key, actions=(Action.TRIGGER,), changed=changed)


def _trigger(earlier: Earlier, own: str) -> Plan:
    if _is_in_digest(earlier):
        return Plan(dedup_key=_short(earlier.digest), actions=(Action.TRIGGER,))

    return Plan(dedup_key=own, actions=(Action.TRIGGER,), reference=own)


def _is_in_digest(earlier: Earlier) -> bool:
    return bool(earlier.digest) and earlier.reference is None


def _went_well(rollback: RollbackSummary) -> bool:
    return rollback.state in _WELL and not rollback.approvable


def _short(key: str) -> str:
    return key[:_LONGEST_KEY]


def _write_summary(notice: Notice, at: datetime) -> dict[str, Any]:
    return {
        "summary": " ".join(notice.headline.split())[:_LONGEST_SUMMARY] or "(no words)",
        "source": notice.service[:_LONGEST_NAME] or _CLIENT,
        "timestamp": at.isoformat(timespec="milliseconds"),
    }


def _component(notice: Notice) -> str:
    failing = [member.check for member in notice.members if member.closed_at is None]

    return failing[0] if failing else ""


def _links(notice: Notice) -> list[dict[str, str]]:
    return [{"href": link.url, "text": link.name} for link in notice.links if is_usable(link.url)][
        :_MOST_LINKS
    ]


def _details(delivery: Delivery) -> dict[str, Any]:
    """Give all that programs are told, under its usual names."""
    told = payload(delivery)
    told["about"] = delivery.notice.description
    told["location"] = delivery.notice.location
    told["asked"] = wording.summary(delivery.notice)[1]

    return {name: value for name, value in told.items() if value not in (None, "", [], {})}


def _fit(details: dict[str, Any], size: int) -> dict[str, Any]:
    """Leave out what is too much, the least needed first, and say so."""
    left_out: list[str] = []
    while _size(details) > size:
        name = next((one for one in _DISPENSABLE if one in details), None)
        if name is None:
            return {"left_out": "everything: it is too much"}
        del details[name]
        left_out.append(name)
        details["left_out"] = ", ".join(left_out)

    return details


def _size(data: dict[str, Any]) -> int:
    return len(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))
