"""The decision: a trip becomes a rollback that is carried out, or a record of why it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from monitor.core.model.changes import Changes
from monitor.core.model.deploy import DeployKind
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import IncidentClass
from monitor.core.model.rollback import Blocked, Mode, Rollback, RollbackState
from monitor.core.rollback import effects
from monitor.core.rollback.guards import Trip, ask, mode_of
from monitor.core.rollback.reasons import explain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from monitor.core.model.deploy import Deploy
    from monitor.core.model.incident import Incident
    from monitor.core.model.service import RollbackPolicy, Service
    from monitor.core.rollback import Circumstances
    from monitor.core.situation import Situation

_NAMESPACE: Final = UUID("6f1f2b1e-6f0b-4f0e-9b9e-5c7d3a0d8a11")
_LONGEST_REASON: Final = 500


def decide(
    service: Service, *, situation: Situation, circumstances: Circumstances, now: datetime
) -> Changes:
    """Say what the open checks of a service call for: nothing, a blocked trip, or a rollback.

    Asked again and again while a trip lasts, it changes something only when its answer changes.
    """
    policy = service.rollback
    known = situation.rollbacks_of(service.name)
    if any(one.running for one in known):
        return Changes()

    if policy is None or not trips(policy, situation):
        return Changes(rollbacks=_over(known, now))

    triggers = open_triggers(policy, situation)
    incident = _find_incident(service, triggers, situation)
    severity = incident.severity if incident else Severity.HIGH
    mode = mode_of(policy, severity)
    if mode is Mode.OFF:
        return Changes(rollbacks=_over(known, now))

    deploy = _find_armed(service.name, situation)
    row = _find_row(service, deploy, incident, situation)
    if row is None:
        return Changes(rollbacks=_over(known, now))

    trip = Trip(
        service=service,
        policy=policy,
        severity=severity,
        rollback=row,
        deploy=deploy,
        situation=situation,
        circumstances=circumstances,
        now=now,
    )
    blocked = ask(trip)
    before = situation.rollbacks.get(row)
    lasting = before if before is not None and before.ended_at is None else None
    if lasting is not None and lasting.blocked is blocked:
        return Changes()

    over = _over((one for one in known if one.id != row), now)
    rollback = Rollback(
        id=row,
        service=service.name,
        deploy_id=deploy.id if deploy else "",
        incident=incident.id if incident else "",
        state=RollbackState.BLOCKED if blocked else RollbackState.EXECUTING,
        mode=mode,
        severity=severity,
        reason=_describe(triggers, situation),
        triggers=triggers,
        tripped_at=lasting.tripped_at if lasting else now,
        verify_within=policy.verify_within,
        from_version=deploy.version if deploy else None,
        to_version=_version_to_restore(service.name, deploy, situation),
        blocked=blocked,
        started_at=None if blocked else now,
        detail=explain(blocked, trip) if blocked else "",
    )
    if blocked:
        return Changes(rollbacks=(*over, rollback))

    return Changes(rollbacks=(*over, rollback)) + effects.intend(rollback, policy, situation, now)


def still_allowed(
    rollback: Rollback,
    service: Service,
    *,
    situation: Situation,
    circumstances: Circumstances,
    now: datetime,
) -> Blocked | None:
    """Ask all guards again for a rollback that was decided, just before one of its effects."""
    if service.rollback is None:
        return Blocked.MODE

    return ask(
        Trip(
            service=service,
            policy=service.rollback,
            severity=rollback.severity,
            rollback=rollback.id,
            deploy=situation.deploys.get(rollback.deploy_id),
            situation=situation,
            circumstances=circumstances,
            now=now,
            applied_at=rollback.started_at if effects.applied(rollback, situation) else None,
        )
    )


def open_triggers(policy: RollbackPolicy, situation: Situation) -> tuple[str, ...]:
    """Give the triggering checks whose failure threshold is crossed."""
    return tuple(state.check for state in situation.states_of(policy.triggers) if state.open)


def trips(policy: RollbackPolicy, situation: Situation) -> bool:
    """Whether enough triggering checks are open at this time."""
    return len(open_triggers(policy, situation)) >= max(policy.at_least, 1)


def rollback_id(service: str, deploy: str, incident: str = "") -> str:
    """Give the one id for a service and deploy; with an incident, that of a later trip."""
    name = "\n".join((service, deploy, incident) if incident else (service, deploy))

    return str(uuid5(_NAMESPACE, name))


def _find_row(
    service: Service, deploy: Deploy | None, incident: Incident | None, situation: Situation
) -> str | None:
    """Give the id under which a trip is recorded, None if all is said about it.

    What a rollback brought back is not rolled back, and an incident has one rollback unless
    somebody deploys anew. A deploy has one row. Once that holds an end that must not be forgotten,
    later trips of the same deploy get a row for each incident: they can only be blocked.
    """
    incident_id = incident.id if incident else "none"
    if deploy is None:
        live = situation.current_deploy(service.name)
        if live is not None and live.kind is DeployKind.ROLLBACK:
            return None
        if any(_ended_in(incident, one) for one in situation.rollbacks_of(service.name)):
            return None
        return rollback_id(service.name, "", incident_id)

    row = rollback_id(service.name, deploy.id)
    known = situation.rollbacks.get(row)
    if known is None or not (known.latches or known.started_at):
        return row
    if _ended_in(incident, known):
        return None

    return rollback_id(service.name, deploy.id, incident_id)


def _ended_in(incident: Incident | None, rollback: Rollback) -> bool:
    """Whether a rollback that was begun in an incident has come to its end."""
    return (
        rollback.started_at is not None
        and rollback.state.ended
        and rollback.incident == (incident.id if incident else "")
    )


def _find_armed(service: str, situation: Situation) -> Deploy | None:
    deploy = situation.current_deploy(service)

    return deploy if deploy is not None and deploy.arms else None


def _find_incident(
    service: Service, triggers: tuple[str, ...], situation: Situation
) -> Incident | None:
    """Give the incident that a trip belongs to: the service's outage, else one with a trigger."""
    outage = situation.open_incident(service.name, IncidentClass.OUTAGE)
    if outage is not None:
        return outage

    return next(
        (
            incident
            for incident in situation.open_incidents()
            if incident.klass is not IncidentClass.MONITOR
            and any(member.check in triggers for member in incident.members)
        ),
        None,
    )


def _version_to_restore(service: str, deploy: Deploy | None, situation: Situation) -> str | None:
    if deploy is None:
        return None

    good = situation.last_known_good(service, other_than=deploy.version)

    return good.version if good else None


def _describe(triggers: tuple[str, ...], situation: Situation) -> str:
    said = (
        f"{state.check}: {state.last_reasons[0].message}" if state.last_reasons else state.check
        for state in situation.states_of(triggers)
    )

    return "; ".join(said)[:_LONGEST_REASON]


def _over(known: Iterable[Rollback], now: datetime) -> tuple[Rollback, ...]:
    """End the blocked trips that no longer last."""
    return tuple(
        replace(one, ended_at=now)
        for one in known
        if one.state is RollbackState.BLOCKED and one.ended_at is None
    )
