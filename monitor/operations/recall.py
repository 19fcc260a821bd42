"""Which incidents are known, be it only to the store: one by its name, many by their time."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from monitor.core import postmortem
from monitor.core.checklists import checklists, stage_of
from monitor.core.report_incidents import checklists_json, incident_json
from monitor.operations.desk import NotFound, OperationError
from monitor.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.core.model.incident import Incident, TimelineEntry
    from monitor.operations.desk import Desk

MOST_LISTED: Final = 500
_NAMED: Final = 5
_EVER: Final = datetime.fromtimestamp(0, UTC)


async def list_incidents(
    desk: Desk, *, open_only: bool = False, service: str = "", limit: int = 50
) -> dict[str, Any]:
    """Give the newest incidents as JSON without their timelines, newest first."""
    limit = max(1, min(limit, MOST_LISTED))
    found = {one.id: one for one in desk.engine.situation.incidents.values()}
    if desk.archive is not None and not open_only:
        with suppress(StoreError):  # then what is in memory is what there is
            old = await desk.archive.incidents(_EVER, MOST_LISTED)
            found = {one.id: one for one in old} | found

    chosen = [
        one
        for one in found.values()
        if (one.open or not open_only) and service in ("", one.service)
    ]
    chosen.sort(key=lambda one: (one.opened_at, one.id), reverse=True)

    return {
        "incidents": [_without_timeline(one) for one in chosen[:limit]],
        "more": len(chosen) > limit,
    }


async def show_incident(name: str, desk: Desk) -> dict[str, Any]:
    """Give one incident with its timeline, and what is to be done about it.

    Raises OperationError where it is not known.
    """
    incident = await find_incident(name, desk)
    engine = desk.engine

    return {
        **incident_json(incident, await recall_timeline(incident, desk)),
        "stage": stage_of(incident, engine.situation).value,
        "checklists": checklists_json(checklists(incident, engine.directory, engine.situation)),
    }


async def write_postmortem(name: str, desk: Desk) -> dict[str, Any]:
    """Give the post-mortem of an incident as Markdown; raises OperationError if it is unknown."""
    incident = await find_incident(name, desk)
    engine = desk.engine
    case = postmortem.gather(
        incident,
        await recall_timeline(incident, desk),
        engine.situation,
        engine.directory,
        desk.clock(),
    )

    return {"incident": incident.id, "markdown": postmortem.write(case)}


async def find_incident(name: str, desk: Desk) -> Incident:
    """Give an incident by its id, by the beginning of one, or by a service that has one open.

    Raises OperationError where there is none, or more than one.
    """
    situation = desk.engine.situation
    if name in situation.incidents:
        return situation.incidents[name]

    opened = [one for one in situation.open_incidents() if one.service == name]
    found = opened or await _find_named(name, desk)
    if not found:
        raise NotFound(f"there is no incident {name!r:.200}")
    if len(found) > 1 and found[0].id != name:
        named = ", ".join(one.id for one in found[:_NAMED])
        raise OperationError(f"{name!r:.200} may be any of several incidents, such as {named}")

    return found[0]


async def recall_timeline(incident: Incident, desk: Desk) -> Iterable[TimelineEntry]:
    """Give the record of an incident in its order."""
    known = desk.engine.situation.timelines.get(incident.id, ())
    if desk.archive is None or (known and known[0].sequence == 1):
        return known

    lines = {line.sequence: line for line in await desk.archive.timeline(incident.id)}
    lines |= {line.sequence: line for line in known}

    return [lines[sequence] for sequence in sorted(lines)]


async def _find_named(beginning: str, desk: Desk) -> list[Incident]:
    """Give the first incidents whose ids begin so, in the order of their ids."""
    if not beginning:
        return []

    known = desk.engine.situation.incidents
    found = {id: one for id, one in known.items() if id.startswith(beginning)}
    if desk.archive is not None:
        for one in await desk.archive.incidents_named(beginning, _NAMED + 1):
            found.setdefault(one.id, one)

    return [found[id] for id in sorted(found)]


def _without_timeline(incident: Incident) -> dict[str, Any]:
    written = incident_json(incident, ())
    del written["timeline"], written["affected"]  # which stands in the timeline

    return written
