"""How soon an incident is to be acknowledged and resolved: as its service says, or as is usual."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from monitor.core.model.endpoint import Severity

if TYPE_CHECKING:
    from monitor.core.model.service import Service


class Target(StrEnum):
    """What is to be done in time; the values stand in records."""

    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


USUAL: Final = {
    Severity.CRITICAL: timedelta(minutes=5),
    Severity.HIGH: timedelta(minutes=15),
    Severity.MEDIUM: timedelta(hours=2),
}
"""Until when somebody answers. Of low severity that is the end of the next working day."""

_SATURDAY: Final = 5


def find_target(
    target: Target, severity: Severity, service: Service, told_at: datetime
) -> timedelta | None:
    """Give how long after people were told a target is missed; None: there is none."""
    match target:
        case Target.RESOLVE:
            return service.targets.resolve.get(severity)
        case Target.ACKNOWLEDGE if severity in service.targets.acknowledge:
            return service.targets.acknowledge[severity]
        case Target.ACKNOWLEDGE:
            return USUAL.get(severity) or end_of_next_working_day(told_at) - told_at


def end_of_next_working_day(moment: datetime) -> datetime:
    """Give when the first day after a moment is over that is neither Saturday nor Sunday, UTC."""
    day = moment.astimezone(UTC).date() + timedelta(days=1)
    while day.weekday() >= _SATURDAY:
        day += timedelta(days=1)

    return datetime.combine(day + timedelta(days=1), time(), UTC)
