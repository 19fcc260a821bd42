"""What people do about rollbacks: start one, approve one, veto one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from monitor.core.model.changes import Changes
from monitor.core.model.endpoint import Severity
from monitor.core.model.rollback import Mode, Rollback, RollbackKind, RollbackState
from monitor.core.rollback import effects
from monitor.core.rollback.decide import (
    find_incident,
    open_triggers,
    version_before,
    version_to_restore,
)

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.service import RollbackPolicy, Service
    from monitor.core.situation import Situation

_LONGEST_REASON: Final = 500


def start_by_hand(
    service: Service,
    policy: RollbackPolicy,
    *,
    id: str,
    who: str,
    reason: str,
    to: str | None,
    situation: Situation,
    now: datetime,
) -> Changes:
    """Begin what a person asks for: it trips by nothing, and all triggers have to prove it."""
    deploy = situation.current_deploy(service.name)
    triggers = open_triggers(policy, situation)
    incident = find_incident(service, triggers, situation)
    rollback = Rollback(
        id=id,
        service=service.name,
        deploy_id=deploy.id if deploy and policy.kind is RollbackKind.ROLLBACK else "",
        incident=incident.id if incident else "",
        state=RollbackState.EXECUTING,
        mode=Mode.AUTOMATIC,
        severity=incident.severity if incident else Severity.HIGH,
        reason=reason,
        triggers=triggers or policy.triggers,
        tripped_at=now,
        verify_within=policy.verify_within,
        from_version=version_before(service.name, situation),
        to_version=to or version_to_restore(service.name, deploy, situation, policy),
        started_at=now,
        kind=policy.kind,
        started_by=who,
        plan=policy.plan,
    )

    return Changes(rollbacks=(rollback,)) + effects.intend(rollback, policy, situation, now)


def approve(
    rollback: Rollback, who: str, policy: RollbackPolicy, situation: Situation, now: datetime
) -> Changes:
    """Begin what waits, since a person agrees; the guards were asked by whoever asks for this."""
    begun = replace(
        rollback,
        state=RollbackState.EXECUTING,
        approved_by=who,
        started_at=now,
        due_at=None,
        blocked=None,
        detail="",
    )

    return Changes(rollbacks=(begun,)) + effects.intend(begun, policy, situation, now)


def veto(rollback: Rollback, who: str, reason: str, now: datetime) -> Changes:
    """End a trip of which nothing came yet, since a person objects."""
    why = f"vetoed by {who}: {reason}" if reason else f"vetoed by {who}"
    vetoed = replace(
        rollback,
        state=RollbackState.CANCELLED,
        blocked=None,
        vetoed_by=who,
        due_at=None,
        ended_at=now,
        detail=why[:_LONGEST_REASON],
    )

    return Changes(rollbacks=(vetoed,))
