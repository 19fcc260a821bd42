"""What every message says of a notice, whatever carries it: two lines and the labelled facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.core.model.incident import IncidentClass
from monitor.core.model.notice import NoticeEvent
from monitor.core.model.rollback import RollbackState
from monitor.core.wording.phrases import LONGEST_TARGET, duration_text, one_line, time_text
from monitor.core.wording.rollbacks import rollback_phrase, rollback_text

if TYPE_CHECKING:
    from monitor.core.model.incident import Member
    from monitor.core.model.notice import Notice

_MOST_ASKED: Final = 3
_WAKES: Final = frozenset({NoticeEvent.OPENED, NoticeEvent.REMINDER, NoticeEvent.ESCALATED})
"""What asks for somebody who takes it on."""
_FACTS_OF_A_TEST: Final = frozenset({"Environment", "Location"})


def summary(notice: Notice) -> tuple[str, str]:
    """Give the two lines that come first in every message: what, and since when, how bad, what now.

    What the first says of a rollback is not said again. They hold no markup; text that a target
    answered may be in them, so escape before marking up.
    """
    if notice.event is NoticeEvent.TEST:
        return notice.headline, f"Sent at {time_text(notice.at)}; there is nothing to be done."

    lasted = duration_text((notice.resolved_at or notice.at) - notice.since)
    when = f"Since {time_text(notice.since)} ({lasted})"
    if notice.resolved_at is not None:
        when = f"From {time_text(notice.since)} to {time_text(notice.resolved_at)} ({lasted})"
    second = f"{when}, severity {notice.severity}."
    if told := _told_of_rollback(notice):
        second = f"{second} {told}"

    return notice.headline, second


def whole_text(notice: Notice) -> str:
    """Give the two lines for whoever sees nothing else: what to do, what was asked, the runbook.

    What the first line names is not named again.
    """
    first, second = summary(notice)
    asked = dict.fromkeys(
        one_line(member.asked, LONGEST_TARGET)
        for member in notice.members
        if member.closed_at is None and not _is_named(member, first)
    )
    parts = [part for part in (second, what_to_press(notice)) if part]
    if asked:
        parts.append(f"Asked: {'; '.join(list(asked)[:_MOST_ASKED])}.")
    if notice.resolved_at is None:
        parts += [f"Runbook: {link.url}" for link in notice.links if link.name == "runbook"]

    return f"{first}\n{' '.join(parts)}"


def what_to_press(notice: Notice) -> str:
    """Say which commands may be given now about an incident, for those who have no buttons."""
    if notice.event in (NoticeEvent.TEST, NoticeEvent.DIGEST):
        return ""

    said = []
    name = one_line(notice.service)
    if notice.rollback is not None and notice.rollback.approvable:
        said.append(f"Begin it: production-monitor rollback approve {name}")
    if notice.rollback is not None and notice.rollback.vetoable:
        said.append(f"Stop it: production-monitor rollback veto {name}")
    if notice.event in _WAKES and not notice.acknowledged_by and notice.resolved_at is None:
        said.append(f"Take it on: production-monitor incident ack {name}")

    return f"{'. '.join(said)}." if said else ""


def _is_named(member: Member, sentence: str) -> bool:
    """Whether a sentence names what was asked, or there is nothing to name but the endpoint."""
    where = member.asked.partition("://")[2].rstrip("/") or member.asked

    return not where or where in sentence or member.check.startswith(f"{where}.")


def facts(notice: Notice) -> tuple[tuple[str, str], ...]:
    """Give the labelled facts of a notice in reading order; those that are empty are left out.

    The checks are in `notice.members` (see `member_line`), the links in `notice.links`.
    """
    over = notice.resolved_at is not None
    rows = [
        ("Service", notice.service),
        ("About", notice.description),
        ("Severity", str(notice.severity)),
        ("Phase", str(notice.phase)),
        ("Since", time_text(notice.since)),
        ("Resolved", time_text(notice.resolved_at) if notice.resolved_at else ""),
        ("Also affected", ", ".join(notice.affected)),
        ("Common cause likely", notice.common_cause),
        ("Environment", notice.environment),
        ("Location", notice.location),
        ("Deploy", notice.deploy or ""),
        ("Rollback", rollback_text(notice.rollback, over=over) if notice.rollback else ""),
        *(
            (contact.role.replace("_", " ").capitalize(), contact.name)
            for contact in notice.contacts
        ),
        ("Incident", notice.incident),
    ]

    if notice.event is NoticeEvent.TEST:
        rows = [row for row in rows if row[0] in _FACTS_OF_A_TEST]

    return tuple((name, text) for name, text in rows if text)


def _told_of_rollback(notice: Notice) -> str:
    """Say what the second line does of a rollback, which the first may have said already."""
    over, rollback = notice.resolved_at is not None, notice.rollback
    if rollback is None:
        awaited = notice.may_roll_back and notice.klass is IncidentClass.OUTAGE and not over
        return "No rollback so far." if awaited else ""
    if notice.headline.endswith(rollback_phrase(rollback)):
        return ""
    if over and rollback.state == RollbackState.BLOCKED:
        return "Nothing was rolled back."

    return rollback_text(rollback, over=over)
