"""All that is known now: the records in memory, which decide; the store follows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.model.deploy import DeployState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.core.model.changes import Changes
    from monitor.core.model.check_state import CheckState
    from monitor.core.model.deploy import Deploy
    from monitor.core.model.incident import Incident, IncidentClass, TimelineEntry
    from monitor.core.model.notice import Delivery
    from monitor.core.model.rollback import Rollback, Step

_KEPT_INCIDENTS = 500
_KEPT_DELIVERIES = 2_000


class Situation:
    """The records by their keys. Only `apply` changes it; readers get frozen records."""

    def __init__(self) -> None:
        self.states: dict[str, CheckState] = {}
        self.incidents: dict[str, Incident] = {}
        self.timelines: dict[str, list[TimelineEntry]] = {}
        self.deliveries: dict[str, Delivery] = {}
        self.deploys: dict[str, Deploy] = {}
        self.rollbacks: dict[str, Rollback] = {}
        self.steps: dict[str, Step] = {}

    def apply(self, changes: Changes) -> None:
        """Take over changed records; the newest of one key wins."""
        for check in changes.forgotten:
            self.states.pop(check, None)
        self.states.update((state.check, state) for state in changes.states)
        self.incidents.update((incident.id, incident) for incident in changes.incidents)
        for entry in changes.timeline:
            self.timelines.setdefault(entry.incident, []).append(entry)
        self.deliveries.update((delivery.id, delivery) for delivery in changes.deliveries)
        self.deploys.update((deploy.id, deploy) for deploy in changes.deploys)
        self.rollbacks.update((rollback.id, rollback) for rollback in changes.rollbacks)
        self.steps.update((step.key, step) for step in changes.steps)
        self._forget_old(changes)

    def open_incident(self, service: str, klass: IncidentClass) -> Incident | None:
        """Give the one open incident of a service and class."""
        for incident in self.open_incidents():
            if incident.service == service and incident.klass is klass:
                return incident

        return None

    def open_incidents(self) -> list[Incident]:
        """Give all incidents that are not resolved, oldest first."""
        return sorted(
            (incident for incident in self.incidents.values() if incident.open),
            key=lambda incident: (incident.opened_at, incident.id),
        )

    def pending_deliveries(self, notifier: str) -> list[Delivery]:
        """Give what one notifier still has to tell, in the order in which it was queued."""
        return sorted(
            (
                delivery
                for delivery in self.deliveries.values()
                if delivery.notifier == notifier and delivery.pending
            ),
            key=lambda delivery: (
                delivery.queued_at,
                delivery.notice.sequence,
                delivery.id,
            ),
        )

    def current_deploy(self, service: str) -> Deploy | None:
        """Give the newest deploy of a service that did not fail."""
        return max(
            (
                deploy
                for deploy in self.deploys.values()
                if deploy.service == service and deploy.state is not DeployState.FAILED
            ),
            key=lambda deploy: deploy.at,
            default=None,
        )

    def last_known_good(self, service: str) -> Deploy | None:
        """Give the newest certified deploy of a service."""
        return max(
            (
                deploy
                for deploy in self.deploys.values()
                if deploy.service == service and deploy.certified_at is not None
            ),
            key=lambda deploy: deploy.certified_at or deploy.at,
            default=None,
        )

    def rollbacks_of(self, service: str) -> list[Rollback]:
        """Give the rollbacks and blocked trips of a service, oldest first."""
        return sorted(
            (rollback for rollback in self.rollbacks.values() if rollback.service == service),
            key=lambda rollback: rollback.tripped_at,
        )

    def steps_of(self, rollback: str) -> list[Step]:
        """Give the journal of a rollback in the order of its steps."""
        return sorted(
            (step for step in self.steps.values() if step.rollback == rollback),
            key=lambda step: (step.level, step.number),
        )

    def states_of(self, checks: Iterable[str]) -> list[CheckState]:
        """Give the states of those checks that have one."""
        return [self.states[check] for check in checks if check in self.states]

    def _forget_old(self, changes: Changes) -> None:
        """Keep memory bounded: old resolved incidents and delivered notices stay in the store."""
        if changes.incidents and len(self.incidents) > _KEPT_INCIDENTS:
            resolved = sorted(
                (incident for incident in self.incidents.values() if not incident.open),
                key=lambda incident: incident.opened_at,
            )
            for incident in resolved[: len(self.incidents) - _KEPT_INCIDENTS]:
                del self.incidents[incident.id]
                self.timelines.pop(incident.id, None)

        if changes.deliveries and len(self.deliveries) > _KEPT_DELIVERIES:
            done = sorted(
                (
                    delivery
                    for delivery in self.deliveries.values()
                    if not delivery.pending and self._resolved(delivery.notice.incident)
                ),
                key=lambda delivery: delivery.queued_at,
            )
            for delivery in done[: len(self.deliveries) - _KEPT_DELIVERIES]:
                del self.deliveries[delivery.id]

    def _resolved(self, incident: str) -> bool:
        known = self.incidents.get(incident)

        return known is None or not known.open
