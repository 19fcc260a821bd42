"""Whether a heartbeat beats: decides by its schedule, the pings, who listened, and the time.

    basis      the last end of a run, or when the schedule became known
    due        the next time after it by the schedule               window = around due, for `grace`
    nobody listened in more than a hundredth of the window?         basis = the end of that; again
    deadline   due + grace; a run that began by then has max_run_time, whichever is later

    last run failed                         -> FAILED       /fail, or an exit code of no success
    now <= deadline, a run began            -> RUNNING
    now <= due                              -> ON_TIME      (NEW before the first end of a run)
    now <= deadline                         -> LATE         still healthy
    only later, where nobody had listened   -> UNHEARD      our own fault: unknown
    else                                    -> MISSED, or OVERRUN where a run began and did not end

Times of the schedule come from cronsim: as Debian's cron, a job of a fixed hour that falls into the
gap of a time zone is due right after it, and in the hour that comes twice it is due once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from cronsim import CronSim, CronSimError

from monitor.core.model.heartbeat import PingKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

    from monitor.core.model.heartbeat import Heard, Heartbeat, Presence

_SKEW: Final = timedelta(seconds=30)
"""A job whose clock is so much ahead of ours pings before it is due by ours."""

_SHARE: Final = 100
"""Nobody listening for a hundredth of the window is what a sender's retries make up for."""


class Beat(StrEnum):
    """How a heartbeat is."""

    NEW = "new"
    ON_TIME = "on_time"
    RUNNING = "running"
    LATE = "late"
    UNHEARD = "unheard"
    MISSED = "missed"
    OVERRUN = "overrun"
    FAILED = "failed"


class Times(Protocol):
    """When a heartbeat is due."""

    def after(self, moment: datetime) -> datetime:
        """Give the first time after a moment, UTC."""
        ...

    def early(self, grace: timedelta) -> timedelta:
        """Give how long before it is due a ping of a healthy job may come."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """So long after the last one."""

    period: timedelta

    def after(self, moment: datetime) -> datetime:
        """Give the time one period later."""
        return moment + self.period

    def early(self, grace: timedelta) -> timedelta:
        """Expect it as much too early as too late."""
        return min(grace, self.period)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """By the five fields of cron, as clocks of a time zone show them."""

    expression: str
    zone: tzinfo

    def after(self, moment: datetime) -> datetime:
        """Give the first time after a moment by which clocks show what the fields say."""
        return next(CronSim(self.expression, moment.astimezone(self.zone))).astimezone(UTC)

    def early(self, grace: timedelta) -> timedelta:
        """Expect nothing before: a job begins when it is due, by its own clock."""
        return min(_SKEW, grace / 2)


def cron_problem(expression: str, zone: tzinfo, moment: datetime) -> str:
    """Say what is wrong with the fields of cron; empty where nothing is."""
    if len(expression.split()) != 5:
        return "expected five fields: minute, hour, day of month, month, day of week"
    try:
        next(CronSim(expression, moment.astimezone(zone)))
    except CronSimError as error:
        field = str(error).removeprefix("Bad ").replace("-", " ")
        return f"the field for the {field} cannot be read"
    except StopIteration:
        return "there is no such day"

    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is expected of a job.

    `max_run_time` is how long a run may take that told of its start. Other exit codes than
    `successes` are failures.
    """

    times: Times
    grace: timedelta
    max_run_time: timedelta
    successes: frozenset[int] = frozenset({0})


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How a heartbeat is now.

    `due` is when the next end of a run is or was expected, `deadline` until when that is healthy.
    """

    beat: Beat
    due: datetime
    deadline: datetime

    @property
    def healthy(self) -> bool:
        """Whether there is nothing to be told."""
        return self.beat in (Beat.ON_TIME, Beat.RUNNING, Beat.LATE)


def decide(expected: Expected, heard: Heard, now: datetime) -> Decision:
    """Decide how a heartbeat is now."""
    heartbeat = heard.heartbeat
    if heartbeat is None:  # nothing was written down yet: it is known from now on
        due = expected.times.after(now)
        return Decision(beat=Beat.NEW, due=due, deadline=due + expected.grace)

    first = _due(expected, _basis(expected, heartbeat))
    blamed = _deadline(expected, heartbeat, first)
    due = first if now <= blamed else _heard_due(expected, heard, first, now)
    deadline = _deadline(expected, heartbeat, due)
    if failed(expected, heartbeat):
        return Decision(beat=Beat.FAILED, due=due, deadline=deadline)

    return Decision(
        beat=_beat(heartbeat, now, due=due, deadline=deadline, blamed=blamed),
        due=due,
        deadline=deadline,
    )


def failed(expected: Expected, heartbeat: Heartbeat) -> bool:
    """Whether the last run that ended was no success."""
    ended = heartbeat.ended
    if ended is None:
        return False
    if ended.exit_code is None:
        return ended.kind is PingKind.FAIL

    return ended.exit_code not in expected.successes


def _beat(
    heartbeat: Heartbeat, now: datetime, *, due: datetime, deadline: datetime, blamed: datetime
) -> Beat:
    began = heartbeat.started is not None
    if now > deadline:
        return Beat.OVERRUN if heartbeat.started and heartbeat.started <= deadline else Beat.MISSED
    if now > blamed:
        return Beat.UNHEARD
    if heartbeat.ended is None:
        return Beat.NEW
    if began:
        return Beat.RUNNING

    return Beat.ON_TIME if now <= due else Beat.LATE


def _basis(expected: Expected, heartbeat: Heartbeat) -> datetime:
    """Give the time since which the next ping is expected."""
    if heartbeat.ended is None:
        return heartbeat.since

    ended = heartbeat.ended.at
    if isinstance(expected.times, Cron):  # it may have been meant for the time that comes soon
        ended = (heartbeat.shown or ended) + expected.times.early(expected.grace)

    return max(ended, heartbeat.since)


def _due(expected: Expected, basis: datetime) -> datetime:
    return expected.times.after(basis)


def _deadline(expected: Expected, heartbeat: Heartbeat, due: datetime) -> datetime:
    """Give until when the end of a run is healthy; one that began in time may take its time."""
    deadline, began = due + expected.grace, heartbeat.started
    if began is None or began > deadline:
        return deadline

    return max(deadline, began + expected.max_run_time)


def _heard_due(expected: Expected, heard: Heard, due: datetime, now: datetime) -> datetime:
    """Give the first due time around which somebody listened, as far as it is past."""
    assert heard.heartbeat is not None
    while True:
        end = _deadline(expected, heard.heartbeat, due)
        begin = due - expected.times.early(expected.grace)
        if heard.heartbeat.started is not None:  # a run may end at any time
            begin = min(begin, heard.heartbeat.started)
        silent = _silence(heard.presences, begin, min(end, now), now)
        if silent is None or silent.lasted * _SHARE <= end - begin:
            return due

        later = expected.times.after(silent.until)
        if later <= due:
            return due
        due = later


@dataclass(frozen=True, slots=True, kw_only=True)
class _Silence:
    """How long nobody listened altogether, and when that was over."""

    lasted: timedelta
    until: datetime


def _silence(
    presences: Sequence[Presence], begin: datetime, end: datetime, now: datetime
) -> _Silence | None:
    """Find the times between `begin` and `end` at which nobody listened."""
    lasted, until, reached = timedelta(), begin, begin
    for presence in presences:
        if presence.since > reached:
            silent = min(presence.since, end) - reached
            if silent > timedelta():
                lasted, until = lasted + silent, presence.since
        reached = max(reached, presence.until)
        if reached >= end:
            break
    if reached < end:
        lasted, until = lasted + (end - max(reached, begin)), now

    return _Silence(lasted=lasted, until=until) if lasted else None
