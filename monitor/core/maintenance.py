"""When maintenance is: whether a window is open at a moment, and which one comes next.

As with heartbeats, cron is read as Debian's does: a window of a fixed hour that falls into the gap
of a time zone begins right after it, and in the hour that comes twice it begins once.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final

from cronsim import CronSim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, tzinfo

    from monitor.core.model.service import Maintenance

    Span = tuple[datetime, datetime]
    """Since when and until when a window is open."""

_MOST_JOINED: Final = 100
"""So many times of one window are joined where one begins before the last is over."""


def active(window: Maintenance, now: datetime) -> Span | None:
    """Give since when and until when a window is open that is open now."""
    if window.starts_at is not None and window.ends_at is not None:
        once = window.starts_at, window.ends_at
        return once if once[0] <= now < once[1] else None

    span = _begun_by(window, now.replace(second=0, microsecond=0))

    return span if span is not None and now < span[1] else None


def coming(window: Maintenance, now: datetime) -> Span | None:
    """Give the next time at which a window opens; None where it never does again."""
    if window.starts_at is not None and window.ends_at is not None:
        return (window.starts_at, window.ends_at) if now < window.starts_at else None

    opened = active(window, now)
    first = next(_starts(window, opened[1] if opened else now), None)

    return None if first is None else _joined(window, first)


def never_ends(window: Maintenance, moment: datetime) -> bool:
    """Whether a window that comes again always does so before it is over."""
    starts = list(islice(_starts(window, moment), _MOST_JOINED))
    pauses = pairwise(starts)

    return len(starts) == _MOST_JOINED and all(b - a <= window.lasts for a, b in pauses)


def exists(local: datetime, zone: tzinfo) -> datetime:
    """Give the moment at which clocks of a zone show a time, UTC.

    In the gap of a zone it is the end of the gap, and of an hour that comes twice the first.
    """
    earlier, later = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    if earlier >= later or later.astimezone(zone).replace(tzinfo=None) == local:
        return later

    before = earlier.astimezone(zone).utcoffset()
    while later - earlier > timedelta(seconds=1):  # the gap ends where the offset changes
        middle = earlier + (later - earlier) / 2
        if middle.astimezone(zone).utcoffset() == before:
            earlier = middle
        else:
            later = middle

    return later.replace(microsecond=0)


@lru_cache(maxsize=256)
def _begun_by(window: Maintenance, minute: datetime) -> Span | None:
    """Give the times of a window that are open in a minute, in which alone they can begin.

    It is asked for each incident, and the same in the whole of that minute.
    """
    first = next(_starts(window, minute - window.lasts), None)

    return _joined(window, first) if first is not None and first <= minute else None


def _starts(window: Maintenance, moment: datetime) -> Iterator[datetime]:
    """Give when a window opens after a moment, UTC."""
    for start in CronSim(window.cron, moment.astimezone(window.zone)):
        yield start.astimezone(UTC)


def _joined(window: Maintenance, first: datetime) -> Span:
    """Give a window with those that begin before it is over."""
    end = first + window.lasts
    for start in islice(_starts(window, first), _MOST_JOINED):
        if start > end:
            break
        end = start + window.lasts

    return first, end
