"""What is remembered moves along with a clock that is set, so that no elapsed time changes.

Decisions compare `now` with times of earlier records. When both move by the same, nothing that was
not due is due, and nothing that was has to wait. What is history stays as it was written.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from monitor.core.model.changes import Changes
from monitor.core.rollback.deploys import BEFORE
from monitor.core.timeline import MONITOR, record
from monitor.options import format_duration

if TYPE_CHECKING:
    from datetime import timedelta

    from monitor.core.model.incident import Incident
    from monitor.core.model.notice import Delivery
    from monitor.core.situation import Situation

EVENT: Final = "clock_set"
"""The line in the timeline of an open incident."""

_PLAIN: Final = (str, int)
"""What holds no time. That is most, and there may be tens of thousands of records to move."""

Record = TypeVar("Record")


def move(situation: Situation, by: timedelta, now: datetime) -> Changes:
    """Give all records that still decide something, as they are by the clock that shows `now`.

    Results, timelines, delivered notices and what was resolved long ago keep their times; what is
    open gets a line that says so.
    """
    noted = [
        record(moved(incident, by), now, MONITOR, EVENT, clock_was_set(by))
        for incident in situation.open_incidents()
    ]
    resolved = (
        moved(incident, by)
        for incident in situation.incidents.values()
        if _just_resolved(incident, now - by)
    )

    return Changes(
        states=tuple(moved(state, by) for state in situation.states.values()),
        incidents=(*(incident for incident, _ in noted), *resolved),
        timeline=tuple(entry for _, entry in noted),
        deliveries=tuple(
            _requeued(row, by) for row in situation.deliveries.values() if row.pending
        ),
        deploys=tuple(moved(deploy, by) for deploy in situation.deploys.values()),
        rollbacks=tuple(moved(rollback, by) for rollback in situation.rollbacks.values()),
        heartbeats=tuple(
            replace(moved(one, by), shown=one.shown and min(one.shown, now))
            for one in situation.heartbeats.values()
        ),
        presences=tuple(moved(one, by) for one in situation.presences.values()),
    )


def moved(record: Record, by: timedelta) -> Record:
    """Give a record with every time in it moved, whatever its field is called."""
    assert is_dataclass(record)
    assert not isinstance(record, type)
    values = ((field.name, getattr(record, field.name)) for field in fields(record))

    return replace(
        record,
        **{
            name: _value(value, by)
            for name, value in values
            if value and not isinstance(value, _PLAIN)
        },
    )


def clock_was_set(by: timedelta) -> str:
    """Say how a clock was set; the lines before it carry the times that it showed then."""
    how = f"{direction(by)} by {format_duration(abs(by))}"

    return f"the clock was set {how}; the lines above are by the old"


def direction(by: timedelta) -> str:
    """Say in which direction a clock was set."""
    return "forward" if by.total_seconds() > 0 else "back"


def _value(value: Any, by: timedelta) -> Any:
    """Move a time, and the times in what a record holds."""
    if isinstance(value, datetime):
        return value + by
    if isinstance(value, tuple):
        return tuple(_value(one, by) for one in value)

    return moved(value, by) if is_dataclass(value) else value


def _just_resolved(incident: Incident, before: datetime) -> bool:
    """Whether its end still matters for how healthy a service was before a deploy."""
    return incident.resolved_at is not None and before - incident.resolved_at <= BEFORE


def _requeued(row: Delivery, by: timedelta) -> Delivery:
    """Move what orders and delays a notice, but nothing that it tells."""
    not_before = None if row.not_before is None else row.not_before + by

    return replace(row, queued_at=row.queued_at + by, not_before=not_before)
