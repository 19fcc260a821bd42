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
    incident: Incident, at: datetime, actor: str, event: str, text: str
) -> tuple[Incident, TimelineEntry]:
    """Add a line to an incident's timeline; the incident carries the line's number."""
    entry = TimelineEntry(
        incident=incident.id,
        sequence=incident.sequence + 1,
        at=at,
        actor=actor,
        event=event,
        text=text,
    )

    return replace(incident, sequence=entry.sequence), entry


def follow_rollback(
    before: Rollback | None, after: Rollback, situation: Situation, now: datetime
) -> Changes:
    """Write a turn of a rollback into its incident, and let the public phase follow it.

    An incident is about the rollback that ran, rather than one that was held back later.
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
    )
    text = wording.rollback_headline(after)
    incident, entry = record(incident, now, MONITOR, f"rollback_{after.state}", text)

    return Changes(incidents=(incident,), timeline=(entry,))


def follow_step(before: Step | None, after: Step, situation: Situation, now: datetime) -> Changes:
    """Write what became of a step of a rollback into its incident; an intent is not news yet."""
    rollback = situation.rollbacks.get(after.rollback)
    incident = situation.incidents.get(rollback.incident) if rollback else None
    same = before is not None and (before.state, before.attempt) == (after.state, after.attempt)
    if incident is None or same or after.state is StepState.INTENT:
        return NOTHING

    incident, entry = record(
        incident, now, MONITOR, f"rollback_step_{after.state}", wording.step_text(after)
    )

    return Changes(incidents=(incident,), timeline=(entry,))


def turned(before: Rollback | None, after: Rollback) -> bool:
    """Whether a rollback stands elsewhere than it did, or is blocked anew or for another reason."""
    if before is None or (before.state, before.blocked) != (after.state, after.blocked):
        return True

    return before.ended_at is not None and after.ended_at is None
