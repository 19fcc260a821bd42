"""What people do about incidents: who takes one on, notes, resolves, opens and labels.

Each act gives what becomes of the records and what there is to tell of it. One that was done
already changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from monitor.core import wording
from monitor.core.incidents import NO_STEP, IncidentStep, News, NewsKind, new_id
from monitor.core.model.changes import Changes
from monitor.core.model.incident import Acknowledgement, Incident, IncidentClass, IncidentPhase
from monitor.core.timeline import record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from monitor.core.model.endpoint import Severity
    from monitor.core.situation import Situation

LABELLED = "labelled"
"""The timeline's name of an act of which nobody is told."""


def acknowledge(incident: Incident, who: str, now: datetime) -> IncidentStep:
    """Let a person take an incident on.

    One that is over may be taken on as well: a rollback that did not help waits for it. Nobody is
    told of that any more.
    """
    if incident.acknowledgement is not None:
        return NO_STEP

    incident = replace(incident, acknowledgement=Acknowledgement(by=who, at=now))

    return _turn(incident, who, NewsKind.ACKNOWLEDGED, wording.acknowledged(who), now)


def note(
    incident: Incident, who: str, text: str, now: datetime, *, phase: IncidentPhase | None = None
) -> IncidentStep:
    """Write what a person has to say into the timeline; of one that is over nobody is told.

    A person may know the cause where no rollback shows it: with it the public `phase` goes on.
    """
    if phase is None or phase is incident.phase or not incident.open:
        return _turn(incident, who, NewsKind.NOTED, text, now, told=wording.noted(who, text))

    incident = replace(incident, phase=phase)
    said = wording.moved_on(phase, text)

    return _turn(incident, who, NewsKind.NOTED, said, now, told=wording.noted(who, said))


def resolve(incident: Incident, who: str, reason: str, now: datetime) -> IncidentStep:
    """End an incident because a person says so.

    A check that still fails stays a member that is not closed: it opens nothing by the failure
    that is known already, and its recovery is written down here.
    """
    if not incident.open:
        return NO_STEP

    text = wording.ended_by(incident, who, reason, at=now)
    incident = replace(incident, phase=IncidentPhase.RESOLVED, resolved_at=now)

    return _turn(incident, who, NewsKind.RESOLVED, text, now, over=True)


def open_incident(
    service: str, title: str, severity: Severity, who: str, situation: Situation, now: datetime
) -> IncidentStep:
    """Open an outage that a person has seen. Checks that fail from now on join it.

    A service that has one open already gets no second.
    """
    if situation.open_incident(service, IncidentClass.OUTAGE) is not None:
        return NO_STEP

    deploy = situation.current_deploy(service)
    incident = Incident(
        id=new_id(service, IncidentClass.OUTAGE, situation.incidents, now),
        service=service,
        klass=IncidentClass.OUTAGE,
        severity=severity,
        phase=IncidentPhase.INVESTIGATING,
        since=now,
        opened_at=now,
        members=(),
        deploy_id=deploy.id if deploy else None,
        title=title,
        declared=severity,
    )

    return _turn(incident, who, NewsKind.OPENED, wording.headline(incident, at=now), now)


def label(incident: Incident, labels: Sequence[str], who: str, now: datetime) -> IncidentStep:
    """Give an incident these labels and no others."""
    wanted = tuple(dict.fromkeys(labels))
    if wanted == incident.labels:
        return NO_STEP

    incident, entry = record(
        replace(incident, labels=wanted), now, who, LABELLED, wording.labelled(wanted)
    )

    return IncidentStep(changes=Changes(incidents=(incident,), timeline=(entry,)))


def _turn(
    incident: Incident,
    who: str,
    kind: NewsKind,
    text: str,
    now: datetime,
    *,
    told: str = "",
    over: bool = False,
) -> IncidentStep:
    incident, entry = record(incident, now, who, kind.value, text)
    tells = incident.open or over
    news = (News(kind=kind, incident=incident, text=told or text),) if tells else ()

    return IncidentStep(changes=Changes(incidents=(incident,), timeline=(entry,)), news=news)
