"""What people do about incidents: take one on, note something, end it, label it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monitor.core import acts
from monitor.core.model.incident import STORE_CHECK
from monitor.core.report import incident_json
from monitor.operations.desk import NotFound, OperationError, clean_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.incidents import IncidentStep
    from monitor.core.model.incident import Incident
    from monitor.operations.desk import Desk

LONGEST_NOTE: Final = 2_000
_LONGEST_REASON: Final = 500
_LONGEST_LABEL: Final = 60
_MOST_LABELS: Final = 20


async def acknowledge(name: str, who: str, desk: Desk) -> dict[str, Any]:
    """Let `who` take an incident on; gives the incident as JSON once that is durable.

    One that somebody has taken on already stays theirs: the answer says whose. Raises
    OperationError for an incident that is not known, StoreError if it could not be written.
    """
    incident = await find_incident(name, desk)

    return await _do(incident, acts.acknowledge(incident, _who(who), desk.clock()), desk)


async def note(name: str, who: str, text: str, desk: Desk) -> dict[str, Any]:
    """Write what somebody has to say into the timeline of an incident."""
    said = _said("note", text, LONGEST_NOTE, desk)
    incident = await find_incident(name, desk)

    return await _do(incident, acts.note(incident, _who(who), said, desk.clock()), desk)


async def resolve(name: str, who: str, reason: str, desk: Desk) -> dict[str, Any]:
    """End an incident because a person says so; one that is over stays as it is."""
    why = _said("reason", reason, _LONGEST_REASON, desk) if reason else ""
    incident = await find_incident(name, desk)
    if incident.open and any(
        member.check == STORE_CHECK and member.closed_at is None for member in incident.members
    ):
        raise OperationError(
            f"{incident.id} ends by itself once the monitor can write its store: it is not over"
        )

    return await _do(incident, acts.resolve(incident, _who(who), why, desk.clock()), desk)


async def label(name: str, who: str, labels: Sequence[str], desk: Desk) -> dict[str, Any]:
    """Give an incident these labels, and no others."""
    if len(labels) > _MOST_LABELS:
        raise OperationError(f"expected at most {_MOST_LABELS} labels, found {len(labels)}")

    wanted = [_said("label", text, _LONGEST_LABEL, desk) for text in labels]
    incident = await find_incident(name, desk)

    return await _do(incident, acts.label(incident, wanted, _who(who), desk.clock()), desk)


async def find_incident(name: str, desk: Desk) -> Incident:
    """Give an incident by its id, by the beginning of one, or by a service that has one open.

    Raises OperationError where there is none, or more than one.
    """
    known = desk.engine.situation.incidents
    if name in known:
        return known[name]

    opened = [one for one in desk.engine.situation.open_incidents() if one.service == name]
    found = opened or [one for id, one in known.items() if name and id.startswith(name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound(f"there is no incident {name!r:.200}")

    named = ", ".join(one.id for one in found[:5])
    raise OperationError(f"{name:.200} may be any of {len(found)} incidents, among them {named}")


async def _do(incident: Incident, step: IncidentStep, desk: Desk) -> dict[str, Any]:
    engine = desk.engine
    if step.changes:
        await desk.settle(engine.act(step, desk.clock()))

    return incident_json(engine.situation.incidents[incident.id], engine.situation)


def _who(who: str) -> str:
    return clean_text("who", who)


def _said(what: str, text: str, longest: int, desk: Desk) -> str:
    """Give what a person wrote on one line, without secrets; raises OperationError."""
    return desk.engine.mask(clean_text(what, text, longest))
