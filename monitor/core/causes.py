"""Whether what is open still fails for the cause that people were told of."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.model.check_state import Change, CheckEvent
from monitor.core.model.incident import IncidentClass
from monitor.core.model.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from monitor.core.model.check_state import CheckState
    from monitor.core.model.incident import Incident
    from monitor.core.model.verdict import Reason
    from monitor.core.situation import Situation

CAUSE_CHANGED: Final = "cause_changed"
"""The timeline's name of such a turn."""

_PATIENCE: Final = timedelta(minutes=5)
"""So long after people were told of causes, they are told of another."""

_TELL_CAUSES: Final = frozenset({"opened", "joined", CAUSE_CHANGED})


def cause_of(reasons: Sequence[Reason]) -> str:
    """Name what is wrong in essence, without words in which figures change."""
    return f"{reasons[0].code} {reasons[0].asked}".rstrip() if reasons else ""


def find_changed(
    states: Iterable[CheckState],
    events: Sequence[CheckEvent],
    situation: Situation,
    now: datetime,
) -> tuple[CheckEvent, ...]:
    """Give what fails for a cause that nobody was told of in its incident: each is told once.

    Where two causes take turns, as before a load balancer, people hear of both, and no more.
    """
    told = {event.check for event in events}
    found = (_changed(state, situation, now) for state in states if state.check not in told)

    return tuple(event for event in found if event is not None)


def _changed(state: CheckState, situation: Situation, now: datetime) -> CheckEvent | None:
    if not state.open or state.last_outcome is not Outcome.FAIL or state.last_at is None:
        return None

    for incident in situation.open_incidents():
        if incident.klass is not IncidentClass.OUTAGE:
            continue
        for member in incident.members:
            if member.check != state.check or member.closed_at is not None or member.flapping:
                continue
            if cause_of(state.last_reasons) in ("", cause_of(member.reasons), *member.causes):
                return None
            # what seems to be to come was written before the clock was set back
            if timedelta() <= now - _told_at(incident, situation) < _PATIENCE:
                return None
            return CheckEvent(
                change=Change.CHANGED,
                check=state.check,
                at=state.last_at,
                since=member.since,
                failures=state.consecutive_failures,
                reasons=state.last_reasons,
            )

    return None


def _told_at(incident: Incident, situation: Situation) -> datetime:
    known = situation.timelines.get(incident.id, ())

    return max((one.at for one in known if one.event in _TELL_CAUSES), default=incident.opened_at)
