"""Under which id a trip is recorded: one row for what must happen once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from monitor.core.model.deploy import DeployKind
from monitor.core.model.rollback import RollbackKind

if TYPE_CHECKING:
    from monitor.core.model.deploy import Deploy
    from monitor.core.model.incident import Incident
    from monitor.core.model.rollback import Rollback
    from monitor.core.model.service import RollbackPolicy, Service
    from monitor.core.situation import Situation

_NAMESPACE: Final = UUID("6f1f2b1e-6f0b-4f0e-9b9e-5c7d3a0d8a11")


def rollback_id(service: str, deploy: str, incident: str = "") -> str:
    """Give the one id for a service and deploy; with an incident, that of a later trip."""
    return _name(service, deploy, incident) if incident else _name(service, deploy)


def remedy_id(service: str, incident: str) -> str:
    """Give the one id for what is tried in an incident."""
    return _name("remedy", service, incident)


def id_by_hand(service: str, request: str) -> str:
    """Give the id of what a person asks for: asking twice by one name is asking once."""
    return _name("by hand", service, request)


def find_row(
    service: Service,
    policy: RollbackPolicy,
    deploy: Deploy | None,
    incident: Incident | None,
    situation: Situation,
) -> str | None:
    """Give the id under which a trip is recorded, None if all is said about it."""
    if policy.kind is RollbackKind.REMEDY:
        return _find_row_of_remedy(service, incident, situation)

    return _find_row_of_rollback(service, deploy, incident, situation)


def _find_row_of_remedy(
    service: Service, incident: Incident | None, situation: Situation
) -> str | None:
    """Give the one row that an incident has: what was tried, or vetoed, is not tried again."""
    if incident is None:
        return None

    row = remedy_id(service.name, incident.id)
    known = situation.rollbacks.get(row)
    if known is None or known.lasts:
        return row

    return None if known.started_at or known.vetoed_by or known.latches else row


def _find_row_of_rollback(
    service: Service, deploy: Deploy | None, incident: Incident | None, situation: Situation
) -> str | None:
    """Give the id under which a trip of a rollback is recorded.

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
        row = rollback_id(service.name, "", incident_id)
        vetoed = row in situation.rollbacks and situation.rollbacks[row].vetoed_by
        return None if vetoed else row

    row = rollback_id(service.name, deploy.id)
    known = situation.rollbacks.get(row)
    if known is None or known.lasts or not (known.latches or known.started_at or known.vetoed_by):
        return row
    if _ended_in(incident, known) or (known.vetoed_by and known.incident == incident_id):
        return None

    return rollback_id(service.name, deploy.id, incident_id)


def _ended_in(incident: Incident | None, rollback: Rollback) -> bool:
    """Whether a rollback that was begun in an incident has come to its end."""
    return (
        rollback.started_at is not None
        and rollback.state.ended
        and rollback.incident == (incident.id if incident else "")
    )


def _name(*parts: str) -> str:
    return str(uuid5(_NAMESPACE, "\n".join(parts)))
