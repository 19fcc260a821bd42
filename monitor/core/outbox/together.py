"""The messages that tell several notices: a beginning with its end, and many incidents at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from monitor.core import wording
from monitor.core.model.incident import IncidentClass, IncidentPhase
from monitor.core.model.notice import Delivery, DigestLine, Link, Notice, NoticeEvent
from monitor.core.model.rollback import RollbackState
from monitor.core.outbox.errand import Errand

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BEGINNINGS: Final = frozenset({NoticeEvent.OPENED, NoticeEvent.BLIND})


def choose(rows: Iterable[Delivery], *, asks: bool = False) -> list[Delivery]:
    """Give the rows of the next message of one incident, of all that one notifier has to tell.

    A later notice waits for the earlier ones. When the incident is over and nobody was told of its
    beginning yet, one message tells both, under the key of its end, the last; unless that would
    keep quiet about a rollback, because another followed; or the receiver can be asked (`asks`)
    whether it has the beginning already.
    """
    # By number and not by time: a clock that was set back would turn them around.
    rows = sorted(rows, key=lambda row: row.notice.sequence)
    last = next((row for row in rows if row.notice.event is NoticeEvent.RESOLVED), None)
    if last is None or rows[0].notice.event not in BEGINNINGS:
        return rows[:1]

    covers = rows[: rows.index(last)]
    if any(_tells_of_another_rollback(row.notice, last.notice) for row in covers):
        return rows[:1]
    if asks and any(row.maybe_sent for row in covers):
        return rows[:1]

    return [*covers, last]


def tell_incident(rows: Iterable[Delivery], *, asks: bool = False) -> Errand:
    """Write the next message of one incident, of all that one notifier has to tell of it."""
    *covers, last = choose(rows, asks=asks)
    if not covers:
        return Errand(row=last, message=last)

    message = replace(
        last,
        notice=_tell_both(covers[0].notice, last.notice),
        maybe_sent=any(row.maybe_sent for row in (*covers, last)),
    )

    return Errand(row=last, message=message, covers=tuple(covers))


def tell_many(row: Delivery, covers: Sequence[Delivery]) -> Errand:
    """Give the one message that tells all of these, under the key of `row`."""
    covers = sorted(covers, key=lambda one: (one.queued_at, one.notice.sequence, one.id))

    return Errand(
        row=row,
        message=replace(
            row,
            notice=_write_digest(row, covers),
            maybe_sent=any(one.maybe_sent for one in (row, *covers)),
        ),
        covers=tuple(covers),
        digest=True,
    )


def _tells_of_another_rollback(notice: Notice, end: Notice) -> bool:
    """Whether a notice tells how a rollback ended of which the end of the incident says nothing."""
    rollback = notice.rollback
    if rollback is None or not RollbackState(rollback.state).ended:
        return False

    return end.rollback is None or end.rollback.id != rollback.id


def _tell_both(begin: Notice, end: Notice) -> Notice:
    """Say in the end's words that it is over, and in the beginning's what it was."""
    over = end.resolved_at or end.at
    was = "could not be judged" if end.klass is IncidentClass.MONITOR else "was down"
    if end.klass is IncidentClass.FINDING:
        was = "needed attention"
    about = "the monitor's checks" if end.klass is IncidentClass.MONITOR else end.service
    said = (
        f"{about} {was} from {wording.time_text(end.since)} to {wording.time_text(over)}: "
        f"{wording.without_rollback(begin)}. It is over: {end.headline}"
    )

    worst = min(begin.severity, end.severity, key=lambda severity: severity.rank)

    return replace(end, headline=said, severity=worst)


def _write_digest(row: Delivery, covers: Sequence[Delivery]) -> Notice:
    """Write the notice about many: the worst and the newest times of all of them."""
    notices = [one.notice for one in (row, *covers)]
    lines = _lines(notices)
    services = dict.fromkeys(line.service for line in lines)
    outages = any(notice.klass is IncidentClass.OUTAGE for notice in notices)
    goes_on = any(line.resolved_at is None for line in lines)
    leading = row.notice

    return Notice(
        event=NoticeEvent.DIGEST,
        incident=f"digest-{row.id[:12]}",
        sequence=0,
        klass=IncidentClass.OUTAGE if outages else IncidentClass.FINDING,
        service=next(iter(services)) if len(services) == 1 else f"{len(services)} services",
        environment=leading.environment,
        location=leading.location,
        severity=min((line.severity for line in lines), key=lambda severity: severity.rank),
        phase=IncidentPhase.INVESTIGATING if goes_on else IncidentPhase.RESOLVED,
        headline=wording.digest_headline(lines),
        since=min(line.since for line in lines),
        at=max(notice.at for notice in notices),
        members=(),
        resolved_at=None if goes_on else max(line.resolved_at or line.at for line in lines),
        links=_links(leading),
        lines=lines,
    )


def _lines(notices: Iterable[Notice]) -> tuple[DigestLine, ...]:
    """Write a line for each notice, what begins before what ends, and of each the worst first.

    What is over and was never told is one line with its beginning; what changed in between is not
    worth one any more.
    """
    incidents: dict[str, list[Notice]] = {}
    for notice in notices:
        incidents.setdefault(notice.incident, []).append(notice)
    lines = []
    for told in incidents.values():
        told.sort(key=lambda notice: notice.sequence)
        end = next((one for one in told if one.event is NoticeEvent.RESOLVED), None)
        rest = told
        if told[0].event in BEGINNINGS and end is not None:
            lines.append(_line(told[0], end))
            rest = told[told.index(end) + 1 :]
        lines += [_line(notice) for notice in rest]

    return tuple(sorted(lines, key=_in_order))


def _line(notice: Notice, end: Notice | None = None) -> DigestLine:
    severities = [one.severity for one in (notice, end) if one is not None]

    return DigestLine(
        incident=notice.incident,
        event=notice.event,
        service=notice.service,
        severity=min(severities, key=lambda severity: severity.rank),
        headline=wording.without_rollback(notice),
        since=notice.since,
        at=notice.at,
        resolved_at=end.resolved_at or end.at if end is not None else notice.resolved_at,
    )


def _in_order(line: DigestLine) -> tuple[object, ...]:
    over = line.resolved_at is not None

    return (
        line.event is NoticeEvent.RESOLVED,
        over,
        line.severity.rank,
        line.since,
        line.incident,
    )


def _links(notice: Notice) -> tuple[Link, ...]:
    """Link to the page with all of them, where that of one is known."""
    place = next((link.url for link in notice.links if link.name == "incident"), None)

    return (Link(name="incidents", url=place.partition("#")[0]),) if place else ()
