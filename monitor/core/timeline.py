"""The timeline: its numbered lines, and what the turns of a rollback write into it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from monitor.core import wording
from monitor.core.model.changes import NOTHING, Changes
from monitor.core.model.incident import IncidentPhase, TimelineEntry
from monitor.core.model.rollback import RollbackState, StepState

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.incident import Incident
    from monitor.core.model.rollback import Rollback, Step
    from monitor.core.situation import Situation

MONITOR: Final = "monitor"
"""The actor of what nobody else did."""

_PHASE: Final = {
    RollbackState.COUNTDOWN: IncidentPhase.IDENTIFIED,
    RollbackState.AWAITING: IncidentPhase.IDENTIFIED,
    RollbackState.EXECUTING: IncidentPhase.IDENTIFIED,
    RollbackState.UNCERTAIN: IncidentPhase.IDENTIFIED,
    RollbackState.VERIFYING: IncidentPhase.MONITORING,
    RollbackState.RECOVERED: IncidentPhase.MONITORING,
    RollbackState.NOT_RECOVERED: IncidentPhase.INVESTIGATING,
    RollbackState.INCONCLUSIVE: IncidentPhase.IDENTIFIED,
    RollbackState.FAILED: IncidentPhase.IDENTIFIED,
    RollbackState.CANCELLED: IncidentPhase.INVESTIGATING,
}
"""The public phase that a turn of a rollback brings; one that is blocked changes nothing."""


def record(
    incident: Incident,
    at: datetime,
    actor: str,
    event: str,
    text: str,
    details: tuple[tuple[str, str], ...] = (),
    evidence: str = "",
) -> tuple[Incident, TimelineEntry]:
    """Add a line to an incident's timeline; the incident carries the line's number."""
    entry = TimelineEntry(
        incident=incident.id,
        sequence=incident.sequence + 1,
        at=at,
        actor=actor,
        event=event,
        text=text,
        evidence=evidence,
        details=details,
    )

    return replace(incident, sequence=entry.sequence), entry


def by_whom(actor: str, text: str) -> str:
    """Name who acted, where a line does not begin with them; empty for the monitor itself."""
    return "" if actor == MONITOR or text.startswith(f"{actor} ") else actor


def follow_rollback(
    before: Rollback | None, after: Rollback, situation: Situation, now: datetime
) -> Changes:
    """Write a turn of a rollback into its incident, and let the public phase follow it.

    An incident is about the rollback that ran, rather than one that was held back later. Who has
    taken it on before a rollback ended badly has not taken on that: it is to be done anew.
    """
    incident = situation.incidents.get(after.incident)
    if incident is None or not turned(before, after):
        return NOTHING

    phase = _PHASE.get(after.state)
    told = situation.rollbacks.get(incident.rollback_id or "")
    stays = after.blocked is not None and told is not None and told.started_at is not None
    incident = replace(
        incident,
        rollback_id=incident.rollback_id if stays else after.id,
        phase=phase if phase is not None and incident.open else incident.phase,
        acknowledgement=None if after.latches else incident.acknowledgement,
    )
    text = wording.rollback_headline(after)
    incident, entry = record(
        incident,
        now,
        _actor(before, after),
        f"{after.kind}_{after.state}",
        text,
        _facts(after),
    )

    return Changes(incidents=(incident,), timeline=(entry,))


def follow_step(before: Step | None, after: Step, situation: Situation, now: datetime) -> Changes:
    """Write what became of a step of a rollback into its incident; an intent is not news yet."""
    rollback = situation.rollbacks.get(after.rollback)
    incident = situation.incidents.get(rollback.incident) if rollback else None
    same = before is not None and (before.state, before.attempt) == (after.state, after.attempt)
    if incident is None or same or after.state is StepState.INTENT:
        return NOTHING

    assert rollback is not None  # it has an incident
    details = (
        *_facts(rollback),
        ("step", after.key),
        ("step_kind", after.kind),
        ("step_state", after.state.value),
        ("attempt", str(after.attempt)),
        ("outcome", after.detail),
    )
    incident, entry = record(
        incident,
        now,
        MONITOR,
        after.name or f"{rollback.kind}_step_{after.state}",
        wording.step_text(after, rollback.kind),
        tuple((name, value) for name, value in details if value),
    )

    return Changes(incidents=(incident,), timeline=(entry,))


def turned(before: Rollback | None, after: Rollback) -> bool:
    """Whether a rollback stands elsewhere than it did, or is blocked anew or for another reason."""
    if before is None or before.level != after.level:
        return True
    if (before.state, before.blocked) != (after.state, after.blocked):
        return True

    return before.ended_at is not None and after.ended_at is None


def _actor(before: Rollback | None, after: Rollback) -> str:
    """Say whose doing a turn was: a person starts, approves or vetoes."""
    if before is None:
        return after.started_by or MONITOR
    if after.vetoed_by != before.vetoed_by:
        return after.vetoed_by or MONITOR
    if after.approved_by != before.approved_by:
        return after.approved_by or MONITOR

    return MONITOR


def _facts(rollback: Rollback) -> tuple[tuple[str, str], ...]:
    """Give what an audit asks of a rollback, by name; what is not known is left out."""
    due = rollback.due_at.isoformat() if rollback.due_at else ""
    facts = (
        (f"{rollback.kind}_id", rollback.id),
        ("level", str(rollback.level)),
        ("mode", rollback.mode.value),
        ("deploy", rollback.deploy_id),
        ("from", rollback.from_version or ""),
        ("to", rollback.to_version or ""),
        ("blocked", rollback.blocked.value if rollback.blocked else ""),
        ("due_at", due),
    )

    return tuple((name, value) for name, value in facts if value)
