"""The outbox: what is told next and how fast, what an attempt makes of it, and who stands in."""

from monitor.core.outbox.attempts import (
    LONGEST_WAIT,
    LONGEST_WISH,
    Why,
    back_off,
    begin,
    hold_until,
    requeue,
    settle,
    take_up,
)
from monitor.core.outbox.dead import Backlog, list_backlogs, requeue_dead
from monitor.core.outbox.earlier import find_earlier, has_reference
from monitor.core.outbox.errand import Errand
from monitor.core.outbox.fallback import is_late, stand_in, stand_in_late
from monitor.core.outbox.pace import Pace, newest_told, resume
from monitor.core.outbox.planning import GATHER, OVER, Crowd, Style, Upcoming, plan, plan_errands

__all__ = [
    "GATHER",
    "LONGEST_WAIT",
    "LONGEST_WISH",
    "OVER",
    "Backlog",
    "Crowd",
    "Errand",
    "Pace",
    "Style",
    "Upcoming",
    "Why",
    "back_off",
    "begin",
    "find_earlier",
    "has_reference",
    "hold_until",
    "is_late",
    "list_backlogs",
    "newest_told",
    "plan",
    "plan_errands",
    "requeue",
    "requeue_dead",
    "resume",
    "settle",
    "stand_in",
    "stand_in_late",
    "take_up",
]
