"""What programs are told of a notice, as JSON: a webhook in its body, a command on its input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.core import wording

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.check_state import Flapping
    from monitor.core.model.notice import Delivery, DigestLine, Notice


def payload(delivery: Delivery) -> dict[str, Any]:
    """Give what is told: the four fields of the runbook's monitor first, then all the rest."""
    notice = delivery.notice

    return {
        "text": wording.whole_text(notice),
        "timestamp": _iso(notice.at),
        "service": notice.service,
        "environment": notice.environment,
        "event": notice.event.value,
        "incident": notice.incident,
        "class": notice.klass.value,
        "severity": notice.severity.value,
        "phase": notice.phase.value,
        "checks": [
            {
                "check": member.check,
                "target": member.asked,
                "severity": member.severity.value,
                "since": _iso(member.since),
                "closed_at": _iso(member.closed_at) if member.closed_at else None,
                "failures": member.failures,
                "flapping": _flapping(member.flapping),
            }
            for member in notice.members
        ],
        "reasons": _reasons(notice),
        "since": _iso(notice.since),
        "resolved_at": _iso(notice.resolved_at) if notice.resolved_at else None,
        "contacts": {contact.role: contact.name for contact in notice.contacts},
        "links": {link.name: link.url for link in notice.links},
        "rollback": _rollback(notice),
        "acknowledged": _acknowledged(notice),
        "checklist": [{"text": task.text, "done": task.done} for task in notice.checklist],
        "evidence": [{"name": name, "text": said} for name, said in notice.evidence],
        "affected": list(notice.affected),
        "common_cause": notice.common_cause,
        "digest": [_line(line) for line in notice.lines],
        "idempotency_key": delivery.key,
        "may_repeat": delivery.maybe_sent,
    }


def _flapping(flapping: Flapping | None) -> dict[str, Any] | None:
    if flapping is None:
        return None

    return {"since": _iso(flapping.since), "openings": flapping.openings}


def _reasons(notice: Notice) -> list[dict[str, str]]:
    return [
        {
            "check": member.check,
            "code": reason.code.value,
            "message": reason.message,
            "expected": reason.expected,
            "found": reason.found,
            "at": reason.at,
        }
        for member in notice.members
        for reason in member.reasons
    ]


def _rollback(notice: Notice) -> dict[str, Any] | None:
    if notice.rollback is None:
        return None

    due = notice.rollback.due_at

    return {
        "id": notice.rollback.id,
        "kind": notice.rollback.kind,
        "state": notice.rollback.state,
        "from": notice.rollback.from_version,
        "to": notice.rollback.to_version,
        "reason": notice.rollback.reason,
        "approvable": notice.rollback.approvable,
        "vetoable": notice.rollback.vetoable,
        "due_at": due.isoformat() if due else None,
    }


def _acknowledged(notice: Notice) -> dict[str, str | None] | None:
    if not notice.acknowledged_by:
        return None

    at = notice.acknowledged_at

    return {"by": notice.acknowledged_by, "at": _iso(at) if at else None}


def _line(line: DigestLine) -> dict[str, str | None]:
    return {
        "incident": line.incident,
        "event": line.event.value,
        "service": line.service,
        "severity": line.severity.value,
        "text": line.headline,
        "since": _iso(line.since),
        "timestamp": _iso(line.at),
        "resolved_at": _iso(line.resolved_at) if line.resolved_at else None,
    }


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
