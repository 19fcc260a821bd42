"""Incidents and silences as JSON: for the command line, the API and the status page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.core.withholding import affected_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from monitor.core.model.check_state import Flapping
    from monitor.core.model.checklist import Stage
    from monitor.core.model.incident import Attention, Incident, Member, TimelineEntry
    from monitor.core.model.notice import Task
    from monitor.core.model.silence import Silence
    from monitor.core.model.verdict import Reason


def incident_json(incident: Incident, timeline: Iterable[TimelineEntry]) -> dict[str, Any]:
    """Write an incident with its timeline; times are ISO 8601, UTC."""
    taken, timeline = incident.acknowledgement, tuple(timeline)

    return {
        "id": incident.id,
        "service": incident.service,
        "class": incident.klass.value,
        "severity": incident.severity.value,
        "phase": incident.phase.value,
        "title": incident.title,
        "since": incident.since.isoformat(),
        "opened_at": incident.opened_at.isoformat(),
        "resolved_at": _iso(incident.resolved_at),
        "acknowledged": {"by": taken.by, "at": taken.at.isoformat()} if taken else None,
        "withheld": _hold_json(incident.attention),
        "affected": list(affected_by(timeline)),
        "told_at": _iso(incident.attention.told_at),
        "labels": list(incident.labels),
        "deploy": incident.deploy_id,
        "rollback": incident.rollback_id,
        "checks": [_member_json(member) for member in incident.members],
        "timeline": [_entry_json(entry) for entry in timeline],
    }


def checklists_json(stages: Mapping[Stage, Iterable[Task]]) -> dict[str, list[dict[str, Any]]]:
    """Write what is to be done at each stage; `done` is null where only a person can know."""
    return {
        stage.value: [{"text": task.text, "done": task.done} for task in tasks]
        for stage, tasks in stages.items()
    }


def silence_json(silence: Silence) -> dict[str, Any]:
    """Write a silence; empty lists are about everything."""
    return {
        "id": silence.id,
        "services": list(silence.services),
        "severities": [severity.value for severity in silence.severities],
        "starts_at": silence.starts_at.isoformat(),
        "ends_at": silence.ends_at.isoformat(),
        "by": silence.by,
        "reason": silence.reason,
        "removed_by": silence.removed_by,
    }


def reason_json(reason: Reason) -> dict[str, str]:
    """Write a reason; `at` is `file:line:column` of the configuration."""
    written = {
        "code": reason.code.value,
        "message": reason.message,
        "expected": reason.expected,
        "found": reason.found,
        "at": reason.at,
    }
    if reason.result:
        written["result"] = reason.result

    return written


def flapping_json(flapping: Flapping | None) -> dict[str, Any] | None:
    """Write how a check flaps, if it does."""
    if flapping is None:
        return None

    return {"since": flapping.since.isoformat(), "openings": flapping.openings}


def _hold_json(attention: Attention) -> dict[str, Any] | None:
    """Write by what people are not told of it, and why."""
    hold = attention.hold
    if hold is None:
        return None

    return {
        "why": hold.why.value,
        "by": hold.by,
        "since": hold.since.isoformat(),
        "until": _iso(hold.until),
        "ended_at": _iso(hold.ended_at),
    }


def _member_json(member: Member) -> dict[str, Any]:
    return {
        "check": member.check,
        "severity": member.severity.value,
        "since": member.since.isoformat(),
        "failures": member.failures,
        "closed_at": _iso(member.closed_at),
        "flapping": flapping_json(member.flapping),
        "reasons": [reason_json(reason) for reason in member.reasons],
    }


def _entry_json(entry: TimelineEntry) -> dict[str, Any]:
    return {
        "sequence": entry.sequence,
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "event": entry.event,
        "text": entry.text,
        "evidence": entry.evidence,
        "details": dict(entry.details),
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
