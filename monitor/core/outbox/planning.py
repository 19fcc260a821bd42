"""What a notifier tells next: incident by incident, or of many of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.model.incident import IncidentClass
from monitor.core.model.notice import DeliveryState, NoticeEvent
from monitor.core.model.rollback import RollbackState
from monitor.core.outbox.errand import latest_wait
from monitor.core.outbox.together import BEGINNINGS, choose, tell_incident, tell_many

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from monitor.core.model.notice import Delivery, Notice
    from monitor.core.outbox.errand import Errand

MANY: Final = 10
"""With so many incidents, within a minute or untold, one message tells of all of them."""

STORM: Final = timedelta(minutes=1)
GATHER: Final = timedelta(seconds=10)
"""In a storm, how long what happens is gathered for the next message."""

_PASSED: Final = frozenset(
    {RollbackState.BLOCKED, RollbackState.RECOVERED, RollbackState.CANCELLED}
)
"""Where a rollback stands that calls nobody."""

OVER: Final = 10
"""The urgency of what is over begins here: it comes after all that is not, however bad it was."""

_ALWAYS: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How one notifier tells.

    With `digests` many incidents are one message. A receiver that `tracks` keeps each incident open
    until it is told of the end, so that only beginnings are. `asks`: it can say whether it has a
    message.
    """

    digests: bool = False
    tracks: bool = False
    asks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """What is told next of one incident, or of many in the message of `leader`.

    `rows` are all that wait with it; `urgency` orders what is due, the lowest first.
    """

    rows: Sequence[Delivery]
    not_before: datetime | None
    urgency: int
    leader: Delivery | None = None

    @property
    def incident(self) -> str:
        """The incident that it is about, where it is about one."""
        return self.rows[0].notice.incident

    def errand(self, style: Style) -> Errand:
        """Write the message."""
        if self.leader is None:
            return tell_incident(self.rows, asks=style.asks)

        return tell_many(self.leader, [row for row in self.rows if row.id != self.leader.id])


class Crowd:
    """Remembers which incidents a notifier had to tell of lately: ten in a minute are a storm."""

    def __init__(self) -> None:
        self._queued: dict[str, datetime] = {}

    def storms(self, incidents: Mapping[str, Mapping[str, Delivery]], now: datetime) -> bool:
        """Take note of what waits now, and say whether it storms."""
        for incident, rows in incidents.items():
            self._queued[incident] = max(row.queued_at for row in rows.values())
        self._queued = {incident: at for incident, at in self._queued.items() if now - at <= STORM}

        return len(self._queued) >= MANY


def plan(
    incidents: Iterable[Collection[Delivery]],
    style: Style,
    *,
    storms: bool = False,
    waits: bool = False,
    is_tracked: Callable[[str], bool] = lambda _incident: False,
) -> list[Upcoming]:
    """Give what is told next, of what one notifier has to tell of each incident.

    A digest that may have arrived is sent again as it was: what has come since waits where it is
    about the same incident. So is a single message, unless there are many. With `storms` few are
    told together as well, and with `waits` what comes is gathered before. `is_tracked` says whether
    the receiver has a message of its own about an incident, which is then kept up to date.
    """
    alone: list[Upcoming] = []
    gathered: list[Collection[Delivery]] = []
    repeats: list[Collection[Delivery]] = []
    sent, others = _find_sent(incidents) if style.digests else ([], incidents)
    for rows in others:
        if not style.digests or not _fits(rows, style, is_tracked):
            alone.append(_one(rows, style))
        elif any(row.maybe_sent for row in rows):
            repeats.append(rows)
        else:
            gathered.append(rows)

    if gathered and len(repeats) >= MANY and not style.tracks:
        gathered += repeats
    else:
        alone += [_one(rows, style) for rows in repeats]
    if storms or len(gathered) >= MANY:
        sent += _gather(gathered, style, waits=waits)
    else:
        alone += [_one(rows, style) for rows in gathered]

    return alone + sent


def plan_errands(pending: Iterable[Delivery], style: Style = Style()) -> list[Errand]:
    """Give the next messages, as `plan` does, of what one notifier has to tell."""
    incidents: dict[str, list[Delivery]] = {}
    for delivery in pending:
        incidents.setdefault(delivery.notice.incident, []).append(delivery)

    return [upcoming.errand(style) for upcoming in plan(incidents.values(), style)]


def _find_sent(
    incidents: Iterable[Collection[Delivery]],
) -> tuple[list[Upcoming], list[Collection[Delivery]]]:
    """Find the digests that may have arrived; give them, and the incidents that are in none."""
    incidents = list(incidents)
    leaders = {
        row.id: row
        for rows in incidents
        for row in rows
        if row.told_in == row.id and (row.maybe_sent or row.state is DeliveryState.INFLIGHT)
    }
    if not leaders:
        return [], incidents

    digests: dict[str, list[Delivery]] = {}
    others = []
    for rows in incidents:
        held = [row for row in rows if row.told_in in leaders]
        for row in held:
            digests.setdefault(row.told_in, []).append(row)
        if not held:
            others.append(rows)

    return [
        Upcoming(
            rows=rows,
            not_before=leaders[id].not_before,
            urgency=min(_urgency(row.notice) for row in rows),
            leader=leaders[id],
        )
        for id, rows in digests.items()
    ], others


def _fits(rows: Collection[Delivery], style: Style, is_tracked: Callable[[str], bool]) -> bool:
    """Whether what is to be told of an incident may be told together with others.

    Not what a person has to do something about.
    """
    if any(_calls_a_person(row.notice) for row in rows):
        return False

    first = min(rows, key=lambda row: row.notice.sequence).notice
    begins = first.event in BEGINNINGS
    if style.tracks:
        return begins and all(row.notice.event is not NoticeEvent.RESOLVED for row in rows)

    return begins or not is_tracked(first.incident)


def _calls_a_person(notice: Notice) -> bool:
    rollback = notice.rollback
    if notice.klass is IncidentClass.MONITOR or notice.event is NoticeEvent.TEST:
        return True

    return rollback is not None and (
        rollback.approvable or rollback.vetoable or RollbackState(rollback.state) not in _PASSED
    )


def _one(rows: Collection[Delivery], style: Style) -> Upcoming:
    following = rows if len(rows) == 1 else choose(rows, asks=style.asks)

    return Upcoming(
        rows=list(rows),
        not_before=latest_wait(following),
        urgency=min(_urgency(row.notice) for row in rows),
    )


def _gather(
    gathered: Sequence[Collection[Delivery]], style: Style, *, waits: bool
) -> list[Upcoming]:
    """Tell of all of them in one message: once the oldest has waited, where there may be more."""
    rows = [row for incident in gathered for row in incident]
    if not rows:
        return []

    until = min(row.queued_at for row in rows) + GATHER if waits else None
    if len(gathered) == 1:
        one = _one(gathered[0], style)
        return [
            Upcoming(rows=one.rows, not_before=_later(one.not_before, until), urgency=one.urgency)
        ]

    # A key under which something else may have arrived would hide the digest from who knows it.
    fresh = [row for row in rows if not row.maybe_sent]
    leading = [row for row in fresh if row.told_in == row.id] or fresh
    leader = min(leading, key=lambda row: (row.not_before or _ALWAYS, row.queued_at, row.id))

    return [
        Upcoming(
            rows=rows,
            not_before=_later(leader.not_before, until),
            urgency=min(_urgency(row.notice) for row in rows),
            leader=leader,
        )
    ]


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((at for at in (one, other) if at is not None), default=None)


def _urgency(notice: Notice) -> int:
    """Order what is due: what somebody has to press first, then what is worst, last what is over.

    After a storm hundreds of ends may wait for their turn, and what begins must not wait for them.
    """
    rollback = notice.rollback
    if rollback is not None and (rollback.approvable or rollback.vetoable):
        return -1
    if notice.event is NoticeEvent.RESOLVED:
        return notice.severity.rank + OVER

    return notice.severity.rank
