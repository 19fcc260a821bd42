"""The sentences that people read in notices and timelines, whatever carries them."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.model.incident import IncidentClass
from monitor.core.model.rollback import Blocked, RollbackState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from monitor.core.model.incident import Incident, Member
    from monitor.core.model.notice import Notice, RollbackSummary
    from monitor.core.model.rollback import Rollback
    from monitor.core.model.verdict import Reason

_LONGEST_REASON: Final = 300
_NAMED_CHECKS: Final = 3

_WHY_BLOCKED: Final = {
    Blocked.MODE: "its mode only observes",
    Blocked.KILL_SWITCH: "the kill switch is on",
    Blocked.WARMING_UP: "the monitor has only just started",
    Blocked.BLIND: "the monitor itself may be cut off",
    Blocked.NO_DEPLOY: "no deploy is known",
    Blocked.OUTSIDE_WINDOW: "the last deploy was too long ago to be the cause",
    Blocked.UNHEALTHY_BEFORE: "it was failing before the deploy already",
    Blocked.COMMON_CAUSE: "other services fail as well, so the deploy is not the cause",
    Blocked.ALREADY_ROLLED_BACK: "this deploy was rolled back already",
    Blocked.DAILY_LIMIT: "the limit of rollbacks for one day is reached",
    Blocked.FLEET_LIMIT: "the limit of rollbacks for all services is reached",
    Blocked.COOLING_DOWN: "the last rollback was too short a time ago",
    Blocked.IN_PROGRESS: "another rollback is in progress",
    Blocked.DEPLOY_IN_PROGRESS: "a deploy is in progress",
    Blocked.LATCHED: "an earlier rollback did not help, and a person has to look first",
    Blocked.STORE: "the store cannot be written",
}

_ROLLBACK_STATE: Final = {
    RollbackState.BLOCKED: "blocked",
    RollbackState.EXECUTING: "under way",
    RollbackState.UNCERTAIN: "uncertain, a person has to look",
    RollbackState.VERIFYING: "done, recovery is being verified",
    RollbackState.RECOVERED: "done, and it helped",
    RollbackState.NOT_RECOVERED: "done, but it did not help",
    RollbackState.INCONCLUSIVE: "done, but whether it helped is not known",
    RollbackState.FAILED: "failed",
}


def time_text(at: datetime) -> str:
    """Write a time as `2026-07-01 03:04:05 UTC`."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration_text(value: timedelta) -> str:
    """Write a duration for a sentence: `45 s`, `2 min`, `1 h 30 min`, `3 d 4 h`."""
    seconds = round(max(value, timedelta()) / timedelta(seconds=1))
    if seconds < 90:
        return f"{seconds} s"

    minutes = round(seconds / 60)
    days, hours, minutes = minutes // 1_440, minutes % 1_440 // 60, minutes % 60
    parts = [f"{number} {unit}" for number, unit in ((days, "d"), (hours, "h")) if number]
    if not days and minutes:
        parts.append(f"{minutes} min")

    return " ".join(parts)


def reasons_text(reasons: Sequence[Reason]) -> str:
    """Say the first reason on one line of bounded length, and how many more there are."""
    if not reasons:
        return "no reason was given"

    text = _one_line(reasons[0].message)

    return text if len(reasons) == 1 else f"{text} (and {len(reasons) - 1} more)"


def member_line(member: Member) -> str:
    """Say on one line how one check of an incident stands."""
    if member.closed_at is not None:
        lasted = duration_text(member.closed_at - member.since)

        return f"{member.check}: over at {time_text(member.closed_at)}, after {lasted}"

    row = f", {member.failures} times in a row" if member.failures > 1 else ""
    since = f"since {time_text(member.since)}"

    return f"{member.check} ({member.severity}): {reasons_text(member.reasons)}, {since}{row}"


def headline(incident: Incident, *, at: datetime) -> str:
    """Say in one sentence what is wrong, for how long, and which checks say so; or that it is over.

    The open check of the worst severity speaks, of several the first to fail.
    """
    open_members = [member for member in incident.members if member.closed_at is None]
    if not open_members:
        return _over(incident, at)

    lead = min(open_members, key=lambda member: (member.severity.rank, member.since, member.check))
    others = [member.check for member in open_members if member is not lead]
    why, lasts = reasons_text(lead.reasons), duration_text(at - lead.since)

    match incident.klass:
        case IncidentClass.MONITOR:
            blind = _names([lead.check, *others])
            return f"the monitor has not been able to judge {blind} for {lasts}: {why}"
        case IncidentClass.FINDING:
            subject = f"{incident.service} has a finding"
        case IncidentClass.OUTAGE:
            subject = f"{incident.service} is failing"

    row = f", {lead.failures} times in a row" if lead.failures > 1 else ""
    also = f"; so does {_names(others)}" if others else ""

    return f"{subject}: {why}, for {lasts} ({lead.check}{row}){also}"


def rollback_headline(rollback: Rollback) -> str:
    """Say in one sentence where the rollback of a service stands."""
    how = _ROLLBACK_STATE[rollback.state]
    versions = _versions(rollback.from_version, rollback.to_version)
    detail = rollback_reason(rollback)

    return f"{rollback.service}: rollback{versions} {how}" + (f": {detail}" if detail else "")


def rollback_reason(rollback: Rollback) -> str:
    """Say why a rollback is blocked, how it ended, or, while it runs, what tripped it."""
    if rollback.blocked is not None:
        why = f"{rollback.blocked} ({_WHY_BLOCKED[rollback.blocked]})"
        return f"{why}: {_one_line(rollback.detail)}" if rollback.detail else why

    return _one_line(rollback.detail or rollback.reason)


def rollback_text(rollback: RollbackSummary | None) -> str:
    """Say in one sentence whether a rollback is under way, and if it is blocked, why."""
    if rollback is None:
        return "No rollback so far."

    how = _ROLLBACK_STATE[RollbackState(rollback.state)]
    versions = _versions(rollback.from_version, rollback.to_version)
    reason = f": {rollback.reason}" if rollback.reason else ""

    return f"Rollback{versions} {how}{reason}."


def summary(notice: Notice) -> tuple[str, str]:
    """Give the two lines that come first in every message: what, and since when, how bad, what now.

    They hold no markup; text that a target answered may be in them, so escape before marking up.
    """
    lasted = duration_text((notice.resolved_at or notice.at) - notice.since)
    when = f"Since {time_text(notice.since)} ({lasted})"
    if notice.resolved_at is not None:
        when = f"From {time_text(notice.since)} to {time_text(notice.resolved_at)} ({lasted})"
        if notice.rollback is None:
            return notice.headline, f"{when}, severity {notice.severity}."

    return notice.headline, f"{when}, severity {notice.severity}. {rollback_text(notice.rollback)}"


def facts(notice: Notice) -> tuple[tuple[str, str], ...]:
    """Give the labelled facts of a notice in reading order; those that are empty are left out.

    The checks are in `notice.members` (see `member_line`), the links in `notice.links`.
    """
    rows = [
        ("Service", notice.service),
        ("About", notice.description),
        ("Severity", str(notice.severity)),
        ("Phase", str(notice.phase)),
        ("Since", time_text(notice.since)),
        ("Resolved", time_text(notice.resolved_at) if notice.resolved_at else ""),
        ("Environment", notice.environment),
        ("Location", notice.location),
        ("Deploy", notice.deploy or ""),
        ("Rollback", rollback_text(notice.rollback) if notice.rollback else ""),
        *(
            (contact.role.replace("_", " ").capitalize(), contact.name)
            for contact in notice.contacts
        ),
        ("Incident", notice.incident),
    ]

    return tuple((name, text) for name, text in rows if text)


def _over(incident: Incident, at: datetime) -> str:
    lasted = duration_text((incident.resolved_at or at) - incident.since)
    checks = [member.check for member in incident.members]
    match incident.klass:
        case IncidentClass.MONITOR:
            return f"the monitor can judge {_names(checks)} again, after {lasted}"
        case IncidentClass.FINDING:
            return f"{incident.service}: the finding is over after {lasted} ({_names(checks)})"
        case IncidentClass.OUTAGE:
            return f"{incident.service} has recovered after {lasted} ({_names(checks)})"


def _versions(before: str | None, after: str | None) -> str:
    if before and after:
        return f" from {before} to {after}"
    if before:
        return f" of {before}"

    return ""


def _names(checks: Sequence[str]) -> str:
    if len(checks) > _NAMED_CHECKS:
        return f"{', '.join(checks[:_NAMED_CHECKS])} and {len(checks) - _NAMED_CHECKS} more"
    if len(checks) > 1:
        return f"{', '.join(checks[:-1])} and {checks[-1]}"

    return checks[0] if checks else "nothing"


def _one_line(text: str) -> str:
    text = " ".join(text.split())

    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"
