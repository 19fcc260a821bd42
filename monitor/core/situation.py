"""All that is known now: the records in memory, which decide; the store follows them."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from monitor.core.forgetting import find_old
from monitor.core.model.changes import Changes
from monitor.core.model.deploy import DeployState
from monitor.core.model.notice import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Set, Sized
    from datetime import datetime

    from monitor.core.forgetting import Old
    from monitor.core.model.check_state import CheckState
    from monitor.core.model.deploy import Deploy
    from monitor.core.model.heartbeat import Heartbeat, Presence
    from monitor.core.model.incident import Incident, IncidentClass, TimelineEntry
    from monitor.core.model.notice import Delivery
    from monitor.core.model.pin import HeaderPin
    from monitor.core.model.rollback import Rollback, Step
    from monitor.core.model.silence import Silence

_KEPT_INCIDENTS: Final = 500
_KEPT_DELIVERIES: Final = 2_000
KEPT_DEAD: Final = 1_000
"""So many notices that could not be told are kept, the newest, until their incidents are pruned."""
KEPT_PRESENCES: Final = 1_000
"""So many times in which anybody listened for pings are kept, the newest."""
_KEPT_AFTER_FORGETTING: Final = 0.75
"""What is left of them once there are too many, so that not every change has to forget."""


class Situation:
    """The records by their keys. Only `apply` changes it; readers get frozen records.

    What is asked at each probe (open incidents, deploys and rollbacks of one service) is kept by
    itself, so that the answer costs nothing while there is nothing.
    """

    def __init__(self) -> None:
        self.states: dict[str, CheckState] = {}
        self.incidents: dict[str, Incident] = {}
        self.timelines: dict[str, list[TimelineEntry]] = {}
        self.deliveries: dict[str, Delivery] = {}
        self.deploys: dict[str, Deploy] = {}
        self.rollbacks: dict[str, Rollback] = {}
        self.steps: dict[str, Step] = {}
        self.pins: dict[str, HeaderPin] = {}
        self.heartbeats: dict[str, Heartbeat] = {}
        self.presences: dict[int, Presence] = {}
        self.silences: dict[str, Silence] = {}
        self._most_incidents = _KEPT_INCIDENTS
        self._most_deliveries = _KEPT_DELIVERIES
        self._open: dict[str, Incident] = {}
        self._left: dict[str, Incident] = {}
        self._in_order: list[Incident] | None = None
        self._open_of: dict[tuple[str, IncidentClass], dict[str, Incident]] = {}
        self._pending: dict[str, dict[str, dict[str, Delivery]]] = {}
        self._notices: dict[str, dict[str, Delivery]] = {}
        self._together: dict[str, dict[str, Delivery]] = {}
        self._deploys: dict[str, dict[str, Deploy]] = {}
        self._rollbacks: dict[str, dict[str, Rollback]] = {}

    def apply(self, changes: Changes) -> None:
        """Take over changed records; the newest of one key wins, and a repeat changes nothing."""
        for check in changes.forgotten:
            self.states.pop(check, None)
            self.pins.pop(check, None)
        for endpoint in changes.silenced:
            self.heartbeats.pop(endpoint, None)
        self.states |= {state.check: state for state in changes.states}
        for incident in changes.incidents:
            self._take_incident(incident)
        for entry in changes.timeline:
            written = self.timelines.setdefault(entry.incident, [])
            if not written or written[-1].sequence < entry.sequence:
                written.append(entry)
        for delivery in changes.deliveries:
            self._take_delivery(delivery)
        for deploy in changes.deploys:
            self.deploys[deploy.id] = deploy
            self._deploys.setdefault(deploy.service, {})[deploy.id] = deploy
        for rollback in changes.rollbacks:
            self.rollbacks[rollback.id] = rollback
            self._rollbacks.setdefault(rollback.service, {})[rollback.id] = rollback
        for step in changes.steps:
            self.steps[step.key] = step
        self.pins |= {pin.check: pin for pin in changes.pins}
        self.heartbeats |= {one.endpoint: one for one in changes.heartbeats}
        self.presences |= {one.id: one for one in changes.presences}
        self.silences |= {one.id: one for one in changes.silences}
        self._forget_old(changes)

    def everything(self) -> Changes:
        """Give all records, as one bundle."""
        return Changes(
            states=tuple(self.states.values()),
            incidents=tuple(self.incidents.values()),
            timeline=tuple(chain.from_iterable(self.timelines.values())),
            deliveries=tuple(self.deliveries.values()),
            deploys=tuple(self.deploys.values()),
            rollbacks=tuple(self.rollbacks.values()),
            steps=tuple(self.steps.values()),
            pins=tuple(self.pins.values()),
            heartbeats=tuple(self.heartbeats.values()),
            presences=tuple(self.presences.values()),
            silences=tuple(self.silences.values()),
        )

    def open_incident(self, service: str, klass: IncidentClass) -> Incident | None:
        """Give the one open incident of a service and class."""
        return next(iter(self._open_of.get((service, klass), {}).values()), None)

    def open_incidents(self) -> list[Incident]:
        """Give all incidents that are not resolved, oldest first."""
        if self._in_order is None:
            self._in_order = sorted(self._open.values(), key=lambda one: (one.opened_at, one.id))

        return self._in_order.copy()

    def left_failing(self) -> list[Incident]:
        """Give the incidents that a person resolved although something in them fails still."""
        return list(self._left.values())

    @property
    def open_count(self) -> int:
        """How many incidents are not resolved."""
        return len(self._open)

    def pending_deliveries(self, notifier: str) -> list[Delivery]:
        """Give what one notifier still has to tell, in the order in which it was queued."""
        return sorted(
            chain.from_iterable(rows.values() for rows in self._pending.get(notifier, {}).values()),
            key=lambda delivery: (
                delivery.queued_at,
                delivery.notice.sequence,
                delivery.id,
            ),
        )

    def pending_incidents(self, notifier: str) -> Mapping[str, Mapping[str, Delivery]]:
        """Give by incident, and by id, what one notifier still has to tell; roughly as queued."""
        return self._pending.get(notifier, {})

    def pending_notifiers(self) -> list[str]:
        """Name the notifiers that have something to tell."""
        return [name for name, incidents in self._pending.items() if incidents]

    def deliveries_of(self, incident: str) -> Collection[Delivery]:
        """Give all that was queued of one incident, for whomever."""
        return self._notices.get(incident, {}).values()

    def told_in(self, delivery: str) -> Collection[Delivery]:
        """Give what is told in the message of one delivery, itself included where it has lines."""
        return self._together.get(delivery, {}).values()

    def deploys_of(self, service: str) -> list[Deploy]:
        """Give the deploys of a service, oldest first."""
        return sorted(self._deploys.get(service, {}).values(), key=lambda deploy: deploy.at)

    def current_deploy(self, service: str) -> Deploy | None:
        """Give the newest deploy of a service that did not fail."""
        return max(
            (
                deploy
                for deploy in self._deploys.get(service, {}).values()
                if deploy.state is not DeployState.FAILED
            ),
            key=lambda deploy: deploy.at,
            default=None,
        )

    def last_known_good(self, service: str, *, other_than: str | None = None) -> Deploy | None:
        """Give the newest certified deploy of a service, of another version if one is named."""
        return max(
            (
                deploy
                for deploy in self._deploys.get(service, {}).values()
                if deploy.certified_at is not None and deploy.version != other_than
            ),
            key=lambda deploy: deploy.certified_at or deploy.at,
            default=None,
        )

    def rollbacks_of(self, service: str) -> list[Rollback]:
        """Give the rollbacks and blocked trips of a service, oldest first."""
        known = self._rollbacks.get(service)

        return sorted(known.values(), key=lambda rollback: rollback.tripped_at) if known else []

    def rolled_back(self) -> tuple[str, ...]:
        """Give the services that have rollbacks or blocked trips."""
        return tuple(self._rollbacks)

    def steps_of(self, rollback: str) -> list[Step]:
        """Give the journal of a rollback in the order of its steps."""
        return sorted(
            (step for step in self.steps.values() if step.rollback == rollback),
            key=lambda step: (step.level, step.number),
        )

    def states_of(self, checks: Iterable[str]) -> list[CheckState]:
        """Give the states of those checks that have one."""
        return [self.states[check] for check in checks if check in self.states]

    def find_old(self, service: str, before: datetime) -> Old:
        """Give the deploys and rollbacks of a service that decide nothing any more."""
        return find_old(
            tuple(self._deploys.get(service, {}).values()),
            tuple(self._rollbacks.get(service, {}).values()),
            deciding=(self.current_deploy(service), self.last_known_good(service)),
            before=before,
        )

    def forget_deploys(self, before: datetime) -> None:
        """Forget the deploys and rollbacks that decide nothing any more, as the store does."""
        for service in {*self._deploys, *self._rollbacks}:
            old = self.find_old(service, before)
            for id in old.deploys:
                del self.deploys[id], self._deploys[service][id]
            for id in old.rollbacks:
                del self.rollbacks[id], self._rollbacks[service][id]
                for step in self.steps_of(id):
                    del self.steps[step.key]

    def _take_incident(self, incident: Incident) -> None:
        self.incidents[incident.id] = incident
        self._in_order = None
        alike = self._open_of.setdefault((incident.service, incident.klass), {})
        for known in (self._open, alike):
            if incident.open:
                known[incident.id] = incident
            else:
                known.pop(incident.id, None)
        if not incident.open and any(one.closed_at is None for one in incident.members):
            self._left[incident.id] = incident
        else:
            self._left.pop(incident.id, None)

    def _take_delivery(self, delivery: Delivery) -> None:
        before = self.deliveries.get(delivery.id)
        self.deliveries[delivery.id] = delivery
        incident = delivery.notice.incident
        self._notices.setdefault(incident, {})[delivery.id] = delivery
        if before is not None and before.told_in != delivery.told_in:
            _take_out(self._together, before.told_in, before.id)
        if delivery.told_in:
            self._together.setdefault(delivery.told_in, {})[delivery.id] = delivery
        incidents = self._pending.setdefault(delivery.notifier, {})
        if delivery.pending:
            incidents.setdefault(incident, {})[delivery.id] = delivery
        else:
            _take_out(incidents, incident, delivery.id)

    def _forget_old(self, changes: Changes) -> None:
        """Keep memory bounded: old resolved incidents and delivered notices stay in the store."""
        for old in sorted(self.presences)[: max(0, len(self.presences) - KEPT_PRESENCES)]:
            del self.presences[old]
        if changes.incidents and len(self.incidents) > self._most_incidents:
            self._forget_incidents()
        if changes.deliveries and len(self.deliveries) > self._most_deliveries:
            self._forget_deliveries()

    def _forget_incidents(self) -> None:
        resolved = sorted(
            (incident for incident in self.incidents.values() if not incident.open),
            key=lambda incident: incident.opened_at,
        )
        for incident in resolved[: _surplus(self.incidents, _KEPT_INCIDENTS)]:
            del self.incidents[incident.id]
            self.timelines.pop(incident.id, None)
        self._most_incidents = _next_most(self.incidents, _KEPT_INCIDENTS)

    def _forget_deliveries(self) -> None:
        """Forget what was told longest ago, of incidents of which nothing is left to be told.

        Dead letters are kept, so that they can be told.
        """
        dead = sorted(
            (row for row in self.deliveries.values() if row.state is DeliveryState.DEAD),
            key=lambda row: row.queued_at,
        )
        surplus_dead = dead[: max(len(dead) - KEPT_DEAD, 0)]
        kept = {row.notice.incident for row in dead[len(surplus_dead) :]}
        for incidents in self._pending.values():
            kept |= incidents.keys()
        done = sorted(
            (row for row in self.deliveries.values() if self._is_done(row, kept)),
            key=lambda row: row.queued_at,
        )
        for row in (*surplus_dead, *done[: _surplus(self.deliveries, _KEPT_DELIVERIES)]):
            del self.deliveries[row.id]
            _take_out(self._notices, row.notice.incident, row.id)
            _take_out(self._together, row.told_in, row.id)
        self._most_deliveries = _next_most(self.deliveries, _KEPT_DELIVERIES)

    def _is_done(self, row: Delivery, kept: Set[str]) -> bool:
        """Whether a notice was told, and nobody asks any more by whom and in what."""
        if row.state is not DeliveryState.DELIVERED:
            return False

        told = (row, *self.told_in(row.id))

        return not any(
            one.notice.incident in self._open or one.notice.incident in kept for one in told
        )


def _take_out(groups: dict[str, dict[str, Delivery]], group: str, id: str) -> None:
    """Take one delivery out of its group, and the group with its last."""
    if group in groups:
        groups[group].pop(id, None)
        if not groups[group]:
            del groups[group]


def _surplus(records: Sized, kept: int) -> int:
    return max(len(records) - int(kept * _KEPT_AFTER_FORGETTING), 0)


def _next_most(records: Sized, kept: int) -> int:
    """Give how many there may be until old ones are looked for again: many may have to stay."""
    return max(kept, len(records) * 5 // 4)
