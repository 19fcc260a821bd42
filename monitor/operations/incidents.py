"""What people do about incidents: open one, take it on, note something, end it, label it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monitor.core import acts
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import STORE_CHECK, IncidentClass, IncidentPhase
from monitor.core.report_incidents import incident_json
from monitor.operations.desk import (
    LONGEST_REASON,
    OperationError,
    check_service,
    clean_name,
    clean_text,
)
from monitor.operations.recall import find_incident, recall_timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.incidents import IncidentStep
    from monitor.core.model.incident import Incident
    from monitor.operations.desk import Desk

_LONGEST_NOTE: Final = 2_000
_LONGEST_LABEL: Final = 60
_MOST_LABELS: Final = 20


async def acknowledge(name: str, who: str, desk: Desk) -> dict[str, Any]:
    """Let `who` take an incident on; gives the incident as JSON once that is durable.

    One that somebody has taken on already stays theirs: the answer says whose. Raises
    OperationError for an incident that is not known, StoreError if it could not be written.
    """
    incident = await _take_up(name, desk)

    return await _do(incident, acts.acknowledge(incident, clean_name(who), desk.clock()), desk)


async def note(
    name: str, who: str, text: str, desk: Desk, *, phase: IncidentPhase | None = None
) -> dict[str, Any]:
    """Write what somebody has to say into the timeline of an incident, and how far it is."""
    if phase is IncidentPhase.RESOLVED:
        raise OperationError("phase: an incident is over when somebody resolves it")
    said = _said("note", text, _LONGEST_NOTE, desk)
    incident = await _take_up(name, desk)

    step = acts.note(incident, clean_name(who), said, desk.clock(), phase=phase)

    return await _do(incident, step, desk)


async def resolve(name: str, who: str, reason: str, desk: Desk) -> dict[str, Any]:
    """End an incident because a person says so; one that is over stays as it is."""
    why = _said("reason", reason, LONGEST_REASON, desk) if reason else ""
    incident = await _take_up(name, desk)
    if incident.open and any(
        member.check == STORE_CHECK and member.closed_at is None for member in incident.members
    ):
        raise OperationError(
            f"{incident.id} ends by itself once the monitor can write its store: it is not over"
        )

    return await _do(incident, acts.resolve(incident, clean_name(who), why, desk.clock()), desk)


async def open_incident(
    service: str, title: str, who: str, desk: Desk, *, severity: Severity = Severity.HIGH
) -> dict[str, Any]:
    """Open an outage that a person has seen; it ends when a person says so.

    The same title again is the same incident. Raises OperationError where the service has
    another outage already.
    """
    engine, now = desk.engine, desk.clock()
    check_service(service, desk)
    said = _said("title", title, LONGEST_REASON, desk)
    known = engine.situation.open_incident(service, IncidentClass.OUTAGE)
    if known is not None:
        if known.title == said:
            await desk.be_sure()
            return await _answer(known, desk)
        raise OperationError(f"{service} has an open outage already, add to it: {known.id}")

    step = acts.open_incident(service, said, severity, clean_name(who), engine.situation, now)

    return await _do(step.changes.incidents[0], step, desk)


async def label(name: str, who: str, labels: Sequence[str], desk: Desk) -> dict[str, Any]:
    """Give an incident these labels, and no others."""
    if len(labels) > _MOST_LABELS:
        raise OperationError(f"expected at most {_MOST_LABELS} labels, found {len(labels)}")

    wanted = [_said("label", text, _LONGEST_LABEL, desk) for text in labels]
    incident = await _take_up(name, desk)

    return await _do(incident, acts.label(incident, wanted, clean_name(who), desk.clock()), desk)


async def _take_up(name: str, desk: Desk) -> Incident:
    """Find an incident, and have it in memory with its whole timeline."""
    incident = await find_incident(name, desk)
    situation = desk.engine.situation
    if incident.id in situation.incidents:
        return situation.incidents[incident.id]

    return desk.engine.recall(incident, tuple(await recall_timeline(incident, desk)))


async def _do(incident: Incident, step: IncidentStep, desk: Desk) -> dict[str, Any]:
    if step.changes:
        await desk.settle(desk.engine.act(step, desk.clock()))
        incident = step.changes.incidents[0]
    else:
        await desk.be_sure()

    return await _answer(incident, desk)


async def _answer(incident: Incident, desk: Desk) -> dict[str, Any]:
    newest = desk.engine.situation.incidents.get(incident.id, incident)

    return incident_json(newest, await recall_timeline(newest, desk))


def _said(what: str, text: str, longest: int, desk: Desk) -> str:
    """Give what a person wrote on one line, without secrets; raises OperationError."""
    return desk.engine.mask(clean_text(what, text, longest))
