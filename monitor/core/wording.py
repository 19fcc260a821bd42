"""The sentences that people read in notices and timelines, whatever carries them."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.model.incident import STORE_CHECK, IncidentClass
from monitor.core.model.observation import Code
from monitor.core.model.rollback import Blocked, RollbackState, StepState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from monitor.core.model.endpoint import Severity
    from monitor.core.model.incident import Incident, Member
    from monitor.core.model.notice import Notice, RollbackSummary
    from monitor.core.model.rollback import Rollback, Step
    from monitor.core.model.verdict import Reason

_LONGEST_REASON: Final = 300
_LONGEST_SENTENCE: Final = 600
_LONGEST_TURN: Final = 400
_LONGEST_VALUE: Final = 40
_LONGEST_TARGET: Final = 120
_WORTH_SAYING: Final = timedelta(seconds=5)
_NAMED_CHECKS: Final = 3

_HOW_IT_FAILS: Final = {
    Code.DNS: "cannot be reached",
    Code.CONNECTION_REFUSED: "cannot be reached",
    Code.CONNECTION_RESET: "cannot be reached",
    Code.TLS_HANDSHAKE: "cannot be reached",
    Code.TIMEOUT: "does not answer in time",
    Code.TLS_CERT_EXPIRED: "cannot be trusted",
    Code.TLS_CERT_NOT_YET_VALID: "cannot be trusted",
    Code.TLS_CERT_HOSTNAME: "cannot be trusted",
    Code.TLS_CERT_UNTRUSTED: "cannot be trusted",
}
"""How a service fails, where the code of the first reason says more than that it does."""

_WHY_BLOCKED: Final = {
    Blocked.MODE: "its mode only observes",
    Blocked.KILL_SWITCH: "the kill switch is on",
    Blocked.WARMING_UP: "the monitor has only just started",
    Blocked.BLIND: "the monitor itself may be cut off",
    Blocked.NO_DEPLOY: "no deploy is known, so there is nothing to undo",
    Blocked.OUTSIDE_WINDOW: "the last deploy was too long ago to be the cause",
    Blocked.UNHEALTHY_BEFORE: "it is not known to have been healthy before the deploy",
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
    RollbackState.NOT_RECOVERED: "done, but it did not help, a person has to act",
    RollbackState.INCONCLUSIVE: "done, but whether it helped is not known, a person has to look",
    RollbackState.FAILED: "failed, a person has to act",
    RollbackState.CANCELLED: "called off",
}

_GOES_WELL: Final = (RollbackState.EXECUTING, RollbackState.VERIFYING, RollbackState.RECOVERED)
"""The states of a rollback for which there is no reason but what tripped it."""

_STEP_STATE: Final = {
    StepState.INTENT: "is next",
    StepState.STARTED: "started",
    StepState.DONE: "done",
    StepState.FAILED: "failed",
    StepState.UNCERTAIN: "has an uncertain end",
}

_RECOVERED: Final = {
    IncidentClass.OUTAGE: "passes again",
    IncidentClass.FINDING: "passes again",
    IncidentClass.MONITOR: "can be judged again",
}

_REMAINS: Final = {
    IncidentClass.OUTAGE: "still fails",
    IncidentClass.FINDING: "still needs attention",
    IncidentClass.MONITOR: "still cannot be judged",
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

    asked = f" at {_one_line(member.target, _LONGEST_TARGET)}" if member.target else ""
    what = f"{member.check} ({member.severity}){asked}"

    return f"{what}: {reasons_text(member.reasons)}, {since}{row}"


def headline(incident: Incident, *, at: datetime) -> str:
    """Say in one sentence what is wrong, for how long, and which checks say so; or that it is over.

    The open check of the worst severity speaks, of several the first to fail.
    """
    still = _worst_first([member for member in incident.members if member.closed_at is None])
    if not still:
        return _sentence(_over(incident, at))
    if incident.klass is IncidentClass.MONITOR:
        return _sentence(_own_trouble(still, at))

    lead, others = still[0], [member.check for member in still[1:]]
    also = f"; {_names(others)} {'fails' if len(others) == 1 else 'fail'} as well" if others else ""
    what = (
        f"needs attention: {reasons_text(lead.reasons)}"
        if incident.klass is IncidentClass.FINDING
        else _failing(lead.reasons)
    )

    return _sentence(
        f"{incident.service} {what}{_lasting(lead, at)} ({lead.check}{_row(lead)}){also}"
    )


def joined(member: Member, klass: IncidentClass, *, at: datetime) -> str:
    """Say that one more check belongs to an incident now, and why."""
    if member.check == STORE_CHECK:
        return _sentence(f"the store cannot be relied on: {reasons_text(member.reasons)}")

    how = {
        IncidentClass.OUTAGE: "fails as well",
        IncidentClass.FINDING: "needs attention as well",
        IncidentClass.MONITOR: "cannot be judged either",
    }[klass]
    row = f" ({member.failures} times in a row)" if member.failures > 1 else ""

    return _sentence(
        f"{member.check} {how}: {reasons_text(member.reasons)}{_lasting(member, at)}{row}"
    )


def left(
    check: str, still: Sequence[Member], klass: IncidentClass, *, removed: bool = False
) -> str:
    """Say that a check no longer belongs to an incident, and what is left of it."""
    gone = "is no longer configured" if removed else _RECOVERED[klass]
    said = "the store can be relied on again" if check == STORE_CHECK else f"{check} {gone}"
    if not still:
        return _sentence(said)

    lead = min(still, key=_badness)
    others = [member.check for member in still if member is not lead]
    rest = f" ({_names(others)} as well)" if others else ""
    if lead.check == STORE_CHECK:
        return _sentence(f"{said}; the store still cannot be relied on{rest}")

    remains = f"{lead.check} {_REMAINS[klass]}: {reasons_text(lead.reasons)}"

    return _sentence(f"{said}; {remains}{rest}")


def update(incident: Incident, turns: Sequence[str]) -> str:
    """Say what has just changed about an incident that goes on."""
    about = "the monitor" if incident.klass is IncidentClass.MONITOR else incident.service

    return _sentence(f"{about}: {'; '.join(turns)}")


def closed(incident: Incident, why: str) -> str:
    """Say that an incident ends although nothing has recovered, and why."""
    return _sentence(f"{incident.service}: the incident is closed because {why}")


def severity_changed(before: Severity, after: Severity) -> str:
    """Say that an incident is worse, or less bad, than it was."""
    return (
        f"the severity {'rises' if after.rank < before.rank else 'falls'} from {before} to {after}"
    )


def step_text(step: Step) -> str:
    """Say on one line what became of one step of a rollback."""
    detail = f": {_one_line(step.detail)}" if step.detail else ""
    again = f", attempt {step.attempt}" if step.attempt > 1 else ""

    return f"rollback step {step.number} ({step.kind}{again}) {_STEP_STATE[step.state]}{detail}"


def rollback_headline(rollback: Rollback) -> str:
    """Say in one sentence where the rollback of a service stands."""
    return _sentence(f"{rollback.service}: {_rollback_of(rollback)}")


def with_rollback(sentence: str, rollback: Rollback) -> str:
    """Say as well where the rollback stands, for which there is always room."""
    more = f"; {_rollback_of(rollback)}"

    return _sentence(_one_line(sentence, max(_LONGEST_SENTENCE - len(more), 1)) + more)


def without_rollback(notice: Notice) -> str:
    """Give the headline of a notice without where the rollback stood by then."""
    if notice.rollback is None:
        return notice.headline

    return notice.headline.removesuffix(f"; {_rollback_in(notice.rollback)}")


def rollback_reason(rollback: Rollback) -> str:
    """Say why a rollback is blocked, how it ended, or, while it runs, what tripped it."""
    if rollback.blocked is not None:
        why = _one_line(rollback.detail) or _WHY_BLOCKED[rollback.blocked]
        return f"{rollback.blocked} ({why})"

    return _one_line(rollback.detail or rollback.reason)


def rollback_text(rollback: RollbackSummary) -> str:
    """Say in one sentence whether a rollback is under way, and if it is blocked, why."""
    said = _rollback_in(rollback)

    return f"{said[0].upper()}{said[1:]}."


def summary(notice: Notice) -> tuple[str, str]:
    """Give the two lines that come first in every message: what, and since when, how bad, what now.

    What the first says of a rollback is not said again. They hold no markup; text that a target
    answered may be in them, so escape before marking up.
    """
    lasted = duration_text((notice.resolved_at or notice.at) - notice.since)
    when = f"Since {time_text(notice.since)} ({lasted})"
    if notice.resolved_at is not None:
        when = f"From {time_text(notice.since)} to {time_text(notice.resolved_at)} ({lasted})"
    second = f"{when}, severity {notice.severity}."
    if told := _told_of_rollback(notice):
        second = f"{second} {told}"

    return notice.headline, second


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


def _failing(reasons: Sequence[Reason]) -> str:
    """Say how a service fails in words that go on from its name: `answers 500, expected 2xx`."""
    if not reasons:
        return "is failing"

    first, more = reasons[0], f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    found, expected = _one_line(first.found), _one_line(first.expected)
    if first.code is Code.STATUS and found.isdigit() and 0 < len(expected) <= _LONGEST_VALUE:
        return f"answers {found}, expected {expected}{more}"

    return f"{_HOW_IT_FAILS.get(first.code, 'is failing')}: {reasons_text(reasons)}"


def _own_trouble(still: Sequence[Member], at: datetime) -> str:
    """Say what the monitor itself cannot do; nothing is said about the targets."""
    blind = [member for member in still if member.check != STORE_CHECK]
    if len(blind) < len(still):
        store = next(member for member in still if member.check == STORE_CHECK)
        cannot = f"the monitor cannot rely on its store{_lasting(store, at)}"
        judge = f"; nor can it judge {_names([member.check for member in blind])}" if blind else ""
        return f"{cannot}: {reasons_text(store.reasons)}{judge}"

    names = _names([member.check for member in blind])
    lead = blind[0]

    return f"the monitor cannot judge {names}{_lasting(lead, at)}: {reasons_text(lead.reasons)}"


def _over(incident: Incident, at: datetime) -> str:
    lasted = duration_text((incident.resolved_at or at) - incident.since)
    checks = [member.check for member in incident.members if member.check != STORE_CHECK]
    match incident.klass:
        case IncidentClass.MONITOR:
            again = [f"judge {_names(checks)}"] if checks else []
            if len(checks) < len(incident.members):
                again.insert(0, "rely on its store")
            return f"the monitor can {' and '.join(again)} again, after {lasted}"
        case IncidentClass.FINDING:
            return f"{incident.service}: the finding is over after {lasted} ({_names(checks)})"
        case IncidentClass.OUTAGE:
            return f"{incident.service} has recovered after {lasted} ({_names(checks)})"


def _worst_first(members: Sequence[Member]) -> list[Member]:
    return sorted(members, key=_badness)


def _badness(member: Member) -> tuple[int, datetime, str]:
    return member.severity.rank, member.since, member.check


def _lasting(member: Member, at: datetime) -> str:
    lasts = at - member.since

    return f", for {duration_text(lasts)}" if lasts >= _WORTH_SAYING else ""


def _row(member: Member) -> str:
    return f", {member.failures} times in a row" if member.failures > 1 else ""


def _told_of_rollback(notice: Notice) -> str:
    """Say what the second line does of a rollback, which the first may have said already."""
    over, rollback = notice.resolved_at is not None, notice.rollback
    if rollback is None:
        awaited = notice.may_roll_back and notice.klass is IncidentClass.OUTAGE and not over
        return "No rollback so far." if awaited else ""
    if notice.headline.endswith(_rollback_in(rollback)):
        return ""
    if over and rollback.state == RollbackState.BLOCKED:
        return "Nothing was rolled back."

    return rollback_text(rollback)


def _rollback_of(rollback: Rollback) -> str:
    return _rollback_as(
        rollback.state, rollback.from_version, rollback.to_version, rollback_reason(rollback)
    )


def _rollback_in(summary: RollbackSummary) -> str:
    return _rollback_as(
        RollbackState(summary.state), summary.from_version, summary.to_version, summary.reason
    )


def _rollback_as(state: RollbackState, before: str | None, after: str | None, reason: str) -> str:
    """Say where a rollback stands; what tripped it is said elsewhere, and past once it helped."""
    why = f": {reason}" if reason and state not in _GOES_WELL else ""

    return _one_line(
        f"rollback{_versions(before, after)} {_ROLLBACK_STATE[state]}{why}", _LONGEST_TURN
    )


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


def _one_line(text: str, longest: int = _LONGEST_REASON) -> str:
    text = " ".join(text.split())

    return text if len(text) <= longest else text[: longest - 1] + "…"


def _sentence(text: str) -> str:
    return _one_line(text, _LONGEST_SENTENCE)
