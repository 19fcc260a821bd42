"""The decision: a trip becomes a rollback that is carried out, or a record of why it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from monitor.core.membership import is_let_go
from monitor.core.model.changes import Changes
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import IncidentClass
from monitor.core.model.rollback import (
    Blocked,
    Mode,
    Rollback,
    RollbackKind,
    RollbackState,
)
from monitor.core.rollback import effects
from monitor.core.rollback.guards import Trip, ask, mode_of
from monitor.core.rollback.reasons import explain
from monitor.core.rollback.rows import find_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from monitor.core.model.deploy import Deploy
    from monitor.core.model.incident import Incident
    from monitor.core.model.service import RollbackPolicy, Service
    from monitor.core.rollback import Circumstances
    from monitor.core.situation import Situation

_LONGEST_REASON: Final = 500


def decide(
    service: Service,
    policy: RollbackPolicy,
    *,
    situation: Situation,
    circumstances: Circumstances,
    now: datetime,
) -> Changes:
    """Say what the open checks of a service call for: nothing, a blocked trip, or an action.

    Asked again and again while a trip lasts, it changes something only when its answer changes. A
    remedy is tried before the service is rolled back.
    """
    others = situation.rollbacks_of(service.name)
    known = [one for one in others if one.kind is policy.kind]
    if any(one.running for one in others):
        return Changes()

    triggers = open_triggers(policy, situation)
    incident = find_incident(service, triggers, situation)
    severity = incident.severity if incident else Severity.HIGH
    if not _enough(triggers, policy) or mode_of(policy, severity) is Mode.OFF:
        return _end_all(known, now)
    if any(one.waiting for one in others if one.kind is not policy.kind):
        return Changes()

    deploy = _find_armed(service.name, situation)
    row = find_row(service, policy, deploy, incident, situation)
    if row is None:
        return _supersede(known, now)

    before = situation.rollbacks.get(row)
    lasting = before if before is not None and before.lasts else None
    trip = Trip(
        service=service,
        policy=policy,
        severity=severity,
        rollback=row,
        deploy=deploy,
        situation=situation,
        circumstances=circumstances,
        now=now,
        decided_at=lasting.tripped_at
        if lasting is not None and lasting.waiting
        else _tried_first(service.name, incident.id if incident else "", situation),
    )
    over = _supersede((one for one in known if one.id != row), now)
    rollback = Rollback(
        id=row,
        service=service.name,
        deploy_id=deploy.id if deploy else "",
        incident=incident.id if incident else "",
        state=RollbackState.EXECUTING,
        mode=mode_of(policy, severity),
        severity=severity,
        reason=_describe(triggers, situation),
        triggers=triggers,
        tripped_at=lasting.tripped_at if lasting else now,
        verify_within=policy.verify_within,
        from_version=version_before(service.name, situation)
        if policy.kind is RollbackKind.REMEDY
        else (deploy.version if deploy else None),
        to_version=version_to_restore(service.name, deploy, situation, policy),
        kind=policy.kind,
        plan=policy.plan,
    )
    turned = _turn(rollback, lasting, trip)

    return over if turned is None else over + turned


def is_quiet(service: Service, situation: Situation) -> bool:
    """Whether nothing can trip and nothing is under way: so it is at nearly every probe."""
    return not any(open_triggers(policy, situation) for policy in service.policies) and not any(
        one.lasts or one.running for one in situation.rollbacks_of(service.name)
    )


def end_without_policy(service: Service, situation: Situation, now: datetime) -> Changes:
    """End what has tripped before its policy was gone."""
    return _end_all(
        (
            one
            for one in situation.rollbacks_of(service.name)
            if one.lasts and service.policy(one.kind) is None
        ),
        now,
    )


def still_allowed(
    rollback: Rollback,
    service: Service,
    *,
    situation: Situation,
    circumstances: Circumstances,
    now: datetime,
) -> Blocked | None:
    """Ask all guards again for a rollback that was decided, just before one of its effects."""
    policy = service.policy(rollback.kind)
    if policy is None:
        return Blocked.MODE

    return ask(
        Trip(
            service=service,
            policy=policy,
            severity=rollback.severity,
            rollback=rollback.id,
            deploy=situation.deploys.get(rollback.deploy_id),
            situation=situation,
            circumstances=circumstances,
            now=now,
            decided_at=_decided_at(rollback, situation),
            by_hand=bool(rollback.started_by),
        )
    )


def _turn(rollback: Rollback, lasting: Rollback | None, trip: Trip) -> Changes | None:
    """Give what becomes of a trip now; None where it stays as it is."""
    now, policy = trip.now, trip.policy
    if lasting is not None and lasting.blocked is Blocked.EXPIRED:
        return None
    if lasting is not None and lasting.waiting and lasting.mode is rollback.mode:
        return _wait_on(lasting, trip)

    blocked = ask(trip)
    if blocked:
        if lasting is not None and lasting.blocked is blocked:
            return None
        return Changes(rollbacks=(_block(rollback, blocked, trip),))
    if rollback.mode is Mode.AUTOMATIC:
        begun = replace(rollback, started_at=now)
        return Changes(rollbacks=(begun,)) + effects.intend(begun, policy, trip.situation, now)

    state = RollbackState.COUNTDOWN if rollback.mode is Mode.COUNTDOWN else RollbackState.AWAITING
    waits = replace(rollback, state=state, due_at=now + policy.wait_of(trip.severity))

    return Changes(rollbacks=(waits,))


def _wait_on(rollback: Rollback, trip: Trip) -> Changes | None:
    """Let a countdown begin once it is due, unless a guard objects; an approval expires by then.

    Just after a start not enough was seen to judge by: that is over soon, and then it is due still.
    """
    if rollback.due_at is not None and trip.now < rollback.due_at:
        return None
    if rollback.state is RollbackState.AWAITING:
        return Changes(rollbacks=(_block(rollback, Blocked.EXPIRED, trip),))

    blocked = ask(trip)
    if blocked is Blocked.WARMING_UP:
        return None
    if blocked:
        return Changes(rollbacks=(_block(rollback, blocked, trip),))

    begun = replace(
        rollback, state=RollbackState.EXECUTING, started_at=trip.now, due_at=None, detail=""
    )

    return Changes(rollbacks=(begun,)) + effects.intend(
        begun, trip.policy, trip.situation, trip.now
    )


def _block(rollback: Rollback, blocked: Blocked, trip: Trip) -> Rollback:
    return replace(
        rollback,
        state=RollbackState.BLOCKED,
        blocked=blocked,
        due_at=None,
        detail=explain(blocked, trip),
    )


def _decided_at(rollback: Rollback, situation: Situation) -> datetime | None:
    """Give when it was decided what waited since, or is being carried out."""
    if rollback.mode is not Mode.AUTOMATIC:
        return rollback.tripped_at
    if effects.half_done(rollback, situation):
        return rollback.started_at

    return _tried_first(rollback.service, rollback.incident, situation)


def _tried_first(service: str, incident: str, situation: Situation) -> datetime | None:
    """Give when the remedy tripped that was tried in an incident, before anything is undone."""
    return min(
        (
            one.tripped_at
            for one in situation.rollbacks_of(service)
            if one.kind is RollbackKind.REMEDY
            and one.incident == incident
            and one.started_at is not None
        ),
        default=None,
    )


def open_triggers(policy: RollbackPolicy, situation: Situation) -> tuple[str, ...]:
    """Give the triggering checks whose failure threshold is crossed.

    What a person has resolved by hand although it fails still is in that person's hands.
    """
    return tuple(
        state.check
        for state in situation.states_of(policy.triggers)
        if state.open and not is_let_go(state.check, situation)
    )


def trips(policy: RollbackPolicy, situation: Situation) -> bool:
    """Whether enough triggering checks are open at this time."""
    return _enough(open_triggers(policy, situation), policy)


def _enough(triggers: Sequence[str], policy: RollbackPolicy) -> bool:
    return len(triggers) >= max(policy.at_least, 1)


def _find_armed(service: str, situation: Situation) -> Deploy | None:
    deploy = situation.current_deploy(service)

    return deploy if deploy is not None and deploy.arms else None


def find_incident(
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


def version_before(service: str, situation: Situation) -> str | None:
    """Give the version that runs."""
    live = situation.current_deploy(service)

    return live.version if live else None


def version_to_restore(
    service: str, deploy: Deploy | None, situation: Situation, policy: RollbackPolicy
) -> str | None:
    """Give the version that the steps are to put back, if one is known to be good."""
    if deploy is None or policy.kind is RollbackKind.REMEDY:
        return None

    good = situation.last_known_good(service, other_than=deploy.version)

    return good.version if good else None


def _describe(triggers: tuple[str, ...], situation: Situation) -> str:
    said = (
        f"{state.check}: {state.last_reasons[0].message}" if state.last_reasons else state.check
        for state in situation.states_of(triggers)
    )

    return "; ".join(said)[:_LONGEST_REASON]


def _end_all(known: Iterable[Rollback], now: datetime) -> Changes:
    """End what no longer lasts: blocked trips, and what still waits."""
    return Changes(
        rollbacks=tuple(
            effects.call_off(one, now) if one.waiting else replace(one, ended_at=now)
            for one in known
            if one.lasts
        )
    )


def _supersede(known: Iterable[Rollback], now: datetime) -> Changes:
    """End what was about a deploy that is not the live one any more."""
    return Changes(
        rollbacks=tuple(
            replace(
                one,
                state=RollbackState.BLOCKED,
                blocked=Blocked.DEPLOY_IN_PROGRESS if one.waiting else one.blocked,
                due_at=None,
                ended_at=now,
            )
            for one in known
            if one.lasts
        )
    )
