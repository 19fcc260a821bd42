"""What a notice says: all that a notifier needs, so that it looks nothing up by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from monitor.core import wording
from monitor.core.checklists import checklist
from monitor.core.common_cause import common_cause
from monitor.core.evidence import evidence_of
from monitor.core.model.incident import IncidentClass, IncidentPhase
from monitor.core.model.notice import Contact, Link, Notice, NoticeEvent
from monitor.core.model.rollback import Mode, RollbackState
from monitor.core.model.verdict import Outcome
from monitor.core.rollback.guards import mode_of
from monitor.core.withholding import affected
from monitor.core.wording.rollbacks import summarize

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from monitor.core.model.incident import Incident, Member
    from monitor.core.model.rollback import Rollback
    from monitor.core.model.service import Directory, Service
    from monitor.core.situation import Situation


def describe(
    incident: Incident,
    event: NoticeEvent,
    headline: str,
    *,
    directory: Directory,
    situation: Situation,
    now: datetime,
    rollback: Rollback | None = None,
    better: bool = False,
) -> Notice:
    """Write a notice about an incident as it stands, with its rollback or the one that is given."""
    service = directory.service(incident.service)
    concerned = _concerned(incident, directory)
    rollback = rollback or situation.rollbacks.get(incident.rollback_id or "")
    deploy = situation.deploys.get(incident.deploy_id or "")
    taken = incident.acknowledgement

    return Notice(
        event=event,
        incident=incident.id,
        sequence=incident.sequence,
        klass=incident.klass,
        service=incident.service,
        environment=directory.environment,
        location=directory.location,
        severity=incident.severity,
        phase=incident.phase,
        headline=headline,
        since=incident.since,
        at=now,
        members=as_it_stands(incident, situation).members,
        resolved_at=incident.resolved_at,
        description=service.description,
        contacts=_contacts(concerned),
        links=_links(concerned, incident.id, directory),
        deploy=_deploy(incident, situation),
        deployed_at=deploy.at if deploy else None,
        rollback=summarize(rollback) if rollback else None,
        better=better,
        may_roll_back=_may_roll_back(service, incident),
        acknowledged_by=taken.by if taken else "",
        acknowledged_at=taken.at if taken else None,
        title=incident.title,
        checklist=checklist(incident, directory, situation),
        evidence=evidence_of(situation.timelines.get(incident.id, ())),
        affected=affected(incident, situation),
        common_cause=common_cause(incident, directory, situation),
    )


def describe_unbound(rollback: Rollback, *, directory: Directory, now: datetime) -> Notice:
    """Write a notice about a rollback whose incident is not known any more."""
    service = directory.service(rollback.service)

    return Notice(
        event=NoticeEvent.ROLLBACK,
        incident=rollback.incident or f"rollback-{rollback.id}",
        # Beyond any number that the incident can have had, and another one for each turn.
        sequence=1_000_000 + 100 * rollback.level + list(RollbackState).index(rollback.state),
        klass=IncidentClass.OUTAGE,
        service=rollback.service,
        environment=directory.environment,
        location=directory.location,
        severity=rollback.severity,
        phase=IncidentPhase.IDENTIFIED,
        headline=wording.rollback_headline(rollback),
        since=rollback.tripped_at,
        at=now,
        members=(),
        description=service.description,
        contacts=service.contacts,
        links=service.links,
        deploy=rollback.deploy_id,
        rollback=summarize(rollback),
    )


def as_it_stands(incident: Incident, situation: Situation) -> Incident:
    """Give an incident whose open checks say what is wrong now, and how often in a row."""
    members = tuple(_as_it_stands(member, incident, situation) for member in incident.members)

    return replace(incident, members=members)


def _as_it_stands(member: Member, incident: Incident, situation: Situation) -> Member:
    """Tell of an open check what is wrong now: it may fail otherwise than when it opened."""
    state = situation.states.get(member.check)
    if (
        state is None
        or member.closed_at is not None
        or incident.klass is IncidentClass.MONITOR
        or state.last_outcome is not Outcome.FAIL
    ):
        return member

    return replace(
        member,
        failures=max(member.failures, state.consecutive_failures),
        reasons=state.last_reasons,
    )


def _may_roll_back(service: Service, incident: Incident) -> bool:
    return any(mode_of(policy, incident.severity) is not Mode.OFF for policy in service.policies)


def _concerned(incident: Incident, directory: Directory) -> list[Service]:
    """Give whose people can help: where somebody does not answer the monitor, who relies on it."""
    if incident.klass is not IncidentClass.MONITOR:
        return [directory.service(incident.service)]

    silent = [member for member in incident.members if member.silent]
    still = [member for member in silent if member.closed_at is None]

    return [
        directory.service(name)
        for name in dict.fromkeys(member.service for member in still or silent)
        if name
    ]


def _contacts(services: Iterable[Service]) -> tuple[Contact, ...]:
    """Give each role once, with everybody who has it in one of the services."""
    names: dict[str, dict[str, None]] = {}
    for service in services:
        for contact in service.contacts:
            names.setdefault(contact.role, {})[contact.name] = None

    return tuple(Contact(role=role, name=", ".join(known)) for role, known in names.items())


def _links(services: Iterable[Service], incident: str, directory: Directory) -> tuple[Link, ...]:
    """Give each link under a name of its own: a second runbook is that of its service."""
    links: dict[str, Link] = {}
    for service in services:
        for link in service.links:
            name = link.name if link.name not in links else f"{link.name} of {service.name}"
            links.setdefault(name, replace(link, name=name))
    if directory.public_url:
        links["incident"] = Link(
            name="incident", url=f"{directory.public_url}/incidents/{incident}"
        )

    return tuple(links.values())


def _deploy(incident: Incident, situation: Situation) -> str | None:
    """Name the deploy that was live when it began, always with its version."""
    deploy = situation.deploys.get(incident.deploy_id) if incident.deploy_id else None
    if deploy is None or deploy.version in deploy.id:
        return incident.deploy_id

    return f"{deploy.version} ({deploy.id})"
