"""Checklists: what is to be done about an incident now, and which of it is seen to be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.core.model.checklist import Item, Seen, Stage
from monitor.core.model.incident import IncidentClass
from monitor.core.model.notice import DeliveryState, NoticeEvent, Task
from monitor.core.model.rollback import RollbackState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.core.model.incident import Incident
    from monitor.core.model.rollback import Rollback
    from monitor.core.model.service import Directory, Service
    from monitor.core.situation import Situation

DEFAULTS: Final[Mapping[Stage, tuple[Item, ...]]] = {
    Stage.BEFORE: (
        Item(text="Somebody has taken the incident on", seen=Seen.ACKNOWLEDGED),
        Item(text="Those concerned are told", seen=Seen.TOLD),
        Item(text="It is known who is affected, and how badly"),
        Item(text="A version to go back to is known", seen=Seen.GOOD_VERSION),
        Item(text="The steps to go back are ready", seen=Seen.STEPS_READY),
        Item(text="Dashboards and logs are open"),
    ),
    Stage.DURING: (
        Item(text="The steps are carried out", seen=Seen.STEPS_DONE),
        Item(text="The checks that failed pass again", seen=Seen.RECOVERED),
        Item(text="Error rates and response times fall to what is usual"),
        Item(text="The database can be reached, and people can sign in"),
    ),
    Stage.AFTER: (
        Item(text="The service is stable", seen=Seen.RESOLVED),
        Item(text="Caches are cleared where that is needed"),
        Item(text="The status page is up to date"),
        Item(text="The all-clear is sent", seen=Seen.ALL_CLEAR),
        Item(text="A post-mortem is planned"),
    ),
}
"""What holds for a service that is rolled back, for each stage that it says nothing about."""


def checklist(incident: Incident, directory: Directory, situation: Situation) -> tuple[Task, ...]:
    """Give what is to be done now, each with whether it is done: None where only a person knows."""
    return checklists(incident, directory, situation).get(stage_of(incident, situation), ())


def checklists(
    incident: Incident, directory: Directory, situation: Situation
) -> dict[Stage, tuple[Task, ...]]:
    """Give what is to be done at each stage; nothing for what is no outage."""
    if incident.klass is not IncidentClass.OUTAGE:
        return {}

    service = directory.service(incident.service)

    return {
        stage: tuple(
            Task(
                text=one.text,
                done=None if one.seen is None else _is_so(one.seen, incident, service, situation),
            )
            for one in listed
        )
        for stage, listed in _items(service).items()
        if listed
    }


def stage_of(incident: Incident, situation: Situation) -> Stage:
    """Say where an incident stands: its end is after a rollback as well, if there was one.

    One that failed, or did not help, is not over for the people who have to act now.
    """
    rollback = _rollback(incident, situation)
    if not incident.open or (rollback is not None and rollback.state is RollbackState.RECOVERED):
        return Stage.AFTER

    return Stage.DURING if rollback is not None and rollback.started_at else Stage.BEFORE


def _items(service: Service) -> Mapping[Stage, tuple[Item, ...]]:
    defaults = DEFAULTS if service.rollback is not None else {}

    return {**defaults, **service.checklist}


def _is_so(seen: Seen, incident: Incident, service: Service, situation: Situation) -> bool:
    rollback = _rollback(incident, situation)
    match seen:
        case Seen.ACKNOWLEDGED:
            return incident.acknowledgement is not None
        case Seen.TOLD:
            return _has_delivered(incident, situation, over=False)
        case Seen.GOOD_VERSION:
            return _has_target(incident, rollback, situation)
        case Seen.STEPS_READY:
            return service.rollback is not None and service.rollback.acts
        case Seen.STEPS_DONE:
            return rollback is not None and rollback.effect_done_at is not None
        case Seen.RECOVERED:
            return all(one.closed_at is not None for one in incident.members)
        case Seen.RESOLVED:  # by a person it may be resolved although something fails still
            return not incident.open and all(one.closed_at is not None for one in incident.members)
        case Seen.ALL_CLEAR:
            return _has_delivered(incident, situation, over=True)


def _has_target(incident: Incident, rollback: Rollback | None, situation: Situation) -> bool:
    """Whether there is a version that was good, and is another than the one that is live."""
    if rollback is not None and rollback.to_version:
        return True

    live = situation.current_deploy(incident.service)
    version = live.version if live is not None else None

    return situation.last_known_good(incident.service, other_than=version) is not None


def _has_delivered(incident: Incident, situation: Situation, *, over: bool) -> bool:
    """Whether anybody was told of an incident, or of its end."""
    return any(
        row.state is DeliveryState.DELIVERED
        for row in situation.deliveries_of(incident.id)
        if row.notice.event is NoticeEvent.RESOLVED or not over
    )


def _rollback(incident: Incident, situation: Situation) -> Rollback | None:
    return situation.rollbacks.get(incident.rollback_id or "")
