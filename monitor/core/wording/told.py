"""What a notice says of things as they stand, whatever it is about; and the lines of a digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.core.model.incident import Incident
from monitor.core.model.notice import NoticeEvent
from monitor.core.wording.incidents import headline
from monitor.core.wording.phrases import as_sentence, duration_text, one_line, time_text

if TYPE_CHECKING:
    from monitor.core.model.notice import DigestLine, Notice

_LONGEST_HEADLINE: Final = 300


def standing(notice: Notice) -> str:
    """Say in one sentence what is wrong as it stood when a notice was written.

    That it was acknowledged, say, is news; but who reads it first has to know of what. A notice
    without an open check says what it says, unless a person named what is wrong.
    """
    still = any(member.closed_at is None for member in notice.members)
    if not still and not (notice.title and notice.resolved_at is None):
        return notice.headline

    incident = Incident(
        id=notice.incident,
        service=notice.service,
        klass=notice.klass,
        severity=notice.severity,
        phase=notice.phase,
        since=notice.since,
        opened_at=notice.since,
        members=notice.members,
        title=notice.title,
    )

    return headline(incident, at=notice.at)


def digest_line(line: DigestLine) -> str:
    """Say one of the many things that a digest tells: when, what, how bad, and whether it is over.

    The end of what was told before says so by its headline.
    """
    said = one_line(line.headline, _LONGEST_HEADLINE)
    over = ""
    if line.resolved_at is not None and line.event is not NoticeEvent.RESOLVED:
        lasted = duration_text(line.resolved_at - line.since)
        over = f"; over at {time_text(line.resolved_at)}, after {lasted}"

    return as_sentence(f"{time_text(line.at)}, {line.severity}: {said}{over}")
