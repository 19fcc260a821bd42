"""The sentences about incidents: what fails and for how long, who joined, what is over."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.model.incident import STORE_CHECK, IncidentClass
from monitor.core.model.observation import Code
from monitor.core.wording.phrases import (
    LONGEST_TARGET,
    as_sentence,
    duration_text,
    listed,
    one_line,
    reasons_text,
    time_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from monitor.core.model.check_state import Flapping
    from monitor.core.model.endpoint import Severity
    from monitor.core.model.incident import Incident, Member
    from monitor.core.model.verdict import Reason

_LONGEST_VALUE: Final = 40
_WORTH_SAYING: Final = timedelta(seconds=5)
_MOST_REASONS: Final = 3

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


def member_line(member: Member) -> str:
    """Say on one line how one check of an incident stands."""
    if member.closed_at is not None:
        lasted = duration_text(member.closed_at - member.since)

        return f"{member.check}: over at {time_text(member.closed_at)}, after {lasted}"

    row = f", {member.failures} times in a row" if member.failures > 1 else ""
    since = f"since {time_text(member.since)}"

    asked = f" at {one_line(member.asked, LONGEST_TARGET)}" if member.asked else ""
    what = f"{member.check} ({member.severity}){asked}"
    if member.flapping:
        return f"{what}: {flapping(member.flapping)}, last: {reasons_text(member.reasons)}"

    return f"{what}: {reasons_text(member.reasons)}, {since}{row}"


def headline(incident: Incident, *, at: datetime) -> str:
    """Say in one sentence what is wrong, for how long, and which checks say so; or that it is over.

    The open check of the worst severity speaks, of several the first to fail.
    """
    still = _worst_first([member for member in incident.members if member.closed_at is None])
    if incident.title and incident.open:
        return as_sentence(_declared(incident, still, at))
    later = [member for member in incident.members if _closed_after(member, incident)]
    if not incident.open and (still or later or incident.title):
        return as_sentence(_ended_by_hand(incident, still, later, at))
    if not still:
        return as_sentence(_over(incident, at))
    if incident.klass is IncidentClass.MONITOR:
        return as_sentence(_own_trouble(still, at))

    lead, others = still[0], [member.check for member in still[1:]]
    also = f"; {listed(others)} {'fails' if len(others) == 1 else 'fail'} as well" if others else ""
    if lead.flapping:
        how = f"{flapping(lead.flapping)}, last: {reasons_text(lead.reasons)}"
        return as_sentence(f"{incident.service} is failing on and off ({lead.check} {how}){also}")

    what = (
        f"needs attention: {reasons_text(lead.reasons)}"
        if incident.klass is IncidentClass.FINDING
        else _failing(lead.reasons)
    )

    return as_sentence(
        f"{incident.service} {what}{_lasting(lead, at)} ({lead.check}{_row(lead)}){also}"
    )


def joined(member: Member, klass: IncidentClass, *, at: datetime) -> str:
    """Say that one more check belongs to an incident now, and why."""
    if member.check == STORE_CHECK:
        return as_sentence(f"the store cannot be relied on: {reasons_text(member.reasons)}")
    if member.flapping:
        how = f"{flapping(member.flapping)}, last: {reasons_text(member.reasons)}"
        return as_sentence(f"{member.check} is {how}")

    how = {
        IncidentClass.OUTAGE: "fails as well",
        IncidentClass.FINDING: "needs attention as well",
        IncidentClass.MONITOR: f"{'is not known' if member.silent else 'cannot be judged'} either",
    }[klass]
    row = f" ({member.failures} times in a row)" if member.failures > 1 else ""

    return as_sentence(
        f"{member.check} {how}: {reasons_text(member.reasons)}{_lasting(member, at)}{row}"
    )


def flapping(flapping: Flapping) -> str:
    """Say how often a check failed that is flapping, and since when."""
    return f"flapping, failed {flapping.openings} times since {time_text(flapping.since)}"


def paused(check: str) -> str:
    """Say that a check passes which is flapping."""
    return as_sentence(f"{check} passes, and has to go on so before it counts as recovered")


def fails_again(member: Member) -> str:
    """Say that a check which is flapping fails once more."""
    assert member.flapping is not None
    how = f"fails again, {member.flapping.openings} times by now"

    return as_sentence(f"{member.check} {how}: {reasons_text(member.reasons)}")


def settled(member: Member, *, at: datetime) -> str:
    """Say that a check is not flapping any more, because it fails all the time."""
    why = f"{reasons_text(member.reasons)}{_lasting(member, at)}{_row(member)}"

    return as_sentence(f"{member.check} is not flapping any more, it fails all the time: {why}")


def cause_changed(member: Member, before: Sequence[Reason]) -> str:
    """Say that a check fails in another way than it did."""
    now = f"{member.check} fails in another way now: {reasons_text(member.reasons)}"

    return as_sentence(f"{now}; before: {reasons_text(before)}")


def left(
    check: str, still: Sequence[Member], klass: IncidentClass, *, removed: bool = False
) -> str:
    """Say that a check no longer belongs to an incident, and what is left of it."""
    gone = "is no longer configured" if removed else _RECOVERED[klass]
    said = "the store can be relied on again" if check == STORE_CHECK else f"{check} {gone}"
    if not still:
        return as_sentence(said)

    lead = min(still, key=_badness)
    others = [member.check for member in still if member is not lead]
    rest = f" ({listed(others)} as well)" if others else ""
    if lead.check == STORE_CHECK:
        return as_sentence(f"{said}; the store still cannot be relied on{rest}")

    how = "is still flapping" if lead.flapping else _REMAINS[klass]
    if klass is IncidentClass.MONITOR and lead.silent:
        how = "is still not known"
    remains = f"{lead.check} {how}: {reasons_text(lead.reasons)}"

    return as_sentence(f"{said}; {remains}{rest}")


def update(incident: Incident, turns: Sequence[str]) -> str:
    """Say what has just changed about an incident that goes on."""
    what = "; ".join(turns)
    if incident.klass is not IncidentClass.MONITOR:
        return as_sentence(f"{incident.service}: {what}")
    if all(member.silent for member in incident.members):
        return as_sentence(what)

    return as_sentence(f"the monitor: {what}")


def closed(incident: Incident, why: str) -> str:
    """Say that an incident ends although nothing has recovered, and why."""
    return as_sentence(f"{incident.service}: the incident is closed because {why}")


def severity_changed(before: Severity, after: Severity) -> str:
    """Say that an incident is worse, or less bad, than it was."""
    return (
        f"the severity {'rises' if after.rank < before.rank else 'falls'} from {before} to {after}"
    )


def _failing(reasons: Sequence[Reason]) -> str:
    """Say how a service fails in words that go on from its name: `answers 500, expected 2xx`."""
    if not reasons:
        return "is failing"

    first, more = reasons[0], f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    found, expected = one_line(first.found), one_line(first.expected)
    if first.code is Code.STATUS and found.isdigit() and 0 < len(expected) <= _LONGEST_VALUE:
        return f"answers {found}, expected {expected}{more}"

    return f"{_HOW_IT_FAILS.get(first.code, 'is failing')}: {reasons_text(reasons)}"


def _own_trouble(still: Sequence[Member], at: datetime) -> str:
    """Say what the monitor itself cannot do, then which figures it is not given by others."""
    store = next((member for member in still if member.check == STORE_CHECK), None)
    blind = [member for member in still if not member.silent and member is not store]
    names = listed([member.check for member in blind])
    said = []
    if store is not None:
        why = reasons_text(store.reasons)
        said.append(f"the monitor cannot rely on its store{_lasting(store, at)}: {why}")
        if blind:
            said.append(f"nor can it judge {names}")
    elif blind:
        why = reasons_text(blind[0].reasons)
        said.append(f"the monitor is blind{_lasting(blind[0], at)}: it cannot judge {names}: {why}")

    return "; ".join((*said, *_not_known([member for member in still if member.silent], at)))


def _not_known(silent: Sequence[Member], at: datetime) -> Iterator[str]:
    """Say which checks nobody gives a figure for, each reason once, and the first reasons alone."""
    by_reason: dict[str, list[Member]] = {}
    for member in silent:
        by_reason.setdefault(reasons_text(member.reasons), []).append(member)

    for why, members in list(by_reason.items())[:_MOST_REASONS]:
        names = [member.check for member in members]
        yield f"{listed(names)} {_are(names)} not known{_lasting(members[0], at)}: {why}"
    more = [one.check for group in list(by_reason.values())[_MOST_REASONS:] for one in group]
    if more:
        yield f"{listed(more)} {_are(more)} not known either"


def _declared(incident: Incident, still: Sequence[Member], at: datetime) -> str:
    """Say what a person has seen, and which checks say so as well."""
    lasts = at - incident.since
    lasting = f", for {duration_text(lasts)}" if lasts >= _WORTH_SAYING else ""
    said = f"{incident.service}: {one_line(incident.title)}{lasting}"

    return "; ".join((said, *(f"{one.check}: {reasons_text(one.reasons)}" for one in still[:1])))


def _closed_after(member: Member, incident: Incident) -> bool:
    """Whether a check failed on after a person had resolved its incident."""
    over = incident.resolved_at

    return over is not None and member.closed_at is not None and member.closed_at > over


def _ended_by_hand(
    incident: Incident, still: Sequence[Member], later: Sequence[Member], at: datetime
) -> str:
    """Say that it is over because a person said so, and what fails, or failed on, all the same."""
    what = one_line(incident.title) if incident.title else "the incident"
    lasted = duration_text((incident.resolved_at or at) - incident.since)
    said = f"{incident.service}: {what} was closed by hand after {lasted}"
    if later and not still:
        last = max(member.closed_at or at for member in later)
        return f"{said}; {listed([one.check for one in later])} failed until {time_text(last)}"
    if not still:
        return said

    fails = "fails" if len(still) == 1 else "fail"

    return f"{said}; {listed([one.check for one in still])} still {fails}"


def _over(incident: Incident, at: datetime) -> str:
    members = incident.members
    lasted = duration_text((incident.resolved_at or at) - incident.since)
    checks = [member.check for member in members if member.check != STORE_CHECK]
    match incident.klass:
        case IncidentClass.MONITOR:
            if all(member.silent for member in members):
                return f"{listed(checks)} {_are(checks)} known again, after {lasted}"
            again = [f"judge {listed(checks)}"] if checks else []
            if len(checks) < len(members):
                again.insert(0, "rely on its store")
            return f"the monitor can {' and '.join(again)} again, after {lasted}"
        case IncidentClass.FINDING:
            over = f"{incident.service}: the finding is over after {lasted} ({listed(checks)})"
        case IncidentClass.OUTAGE:
            over = f"{incident.service} has recovered after {lasted} ({listed(checks)})"

    flapped = [f"{one.check} was {flapping(one.flapping)}" for one in members if one.flapping]

    return "; ".join((over, *flapped))


def _are(checks: Sequence[str]) -> str:
    return "is" if len(checks) == 1 else "are"


def _worst_first(members: Sequence[Member]) -> list[Member]:
    return sorted(members, key=_badness)


def _badness(member: Member) -> tuple[int, datetime, str]:
    return member.severity.rank, member.since, member.check


def _lasting(member: Member, at: datetime) -> str:
    lasts = at - member.since

    return f", for {duration_text(lasts)}" if lasts >= _WORTH_SAYING else ""


def _row(member: Member) -> str:
    return f", {member.failures} times in a row" if member.failures > 1 else ""
