"""Which incident a check that fails belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.model.incident import IncidentClass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.core.model.incident import Incident
    from monitor.core.situation import Situation


def holds(incident: Incident, check: str, *, blind: bool) -> bool:
    """Whether a check is open in an incident; its blindness is another matter than its failing."""
    if (incident.klass is IncidentClass.MONITOR) is not blind:
        return False

    return any(one.check == check and one.closed_at is None for one in incident.members)


def let_go(check: str, left: Iterable[Incident], *, blind: bool) -> Incident | None:
    """Give the newest incident that a person resolved although this check failed still.

    `left` are those that a person resolved although something fails in them still.
    """
    found = (one for one in left if holds(one, check, blind=blind))

    return max(found, key=lambda one: (one.opened_at, one.id), default=None)


def is_let_go(check: str, situation: Situation) -> bool:
    """Whether a person resolved the incident of a check that fails still, and none has it since."""
    if let_go(check, situation.left_failing(), blind=False) is None:
        return False

    return not any(holds(one, check, blind=False) for one in situation.open_incidents())
