"""Incidents: which check events belong together, how bad they are together, and when it is over."""

from __future__ import annotations

import re
from collections import ChainMap
from dataclasses import dataclass, replace
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from monitor.core import wording
from monitor.core.causes import CAUSE_CHANGED, cause_of
from monitor.core.flapping import is_recorded
from monitor.core.membership import holds, let_go
from monitor.core.model.changes import NOTHING, Changes
from monitor.core.model.check_state import Change, CheckEvent
from monitor.core.model.endpoint import Severity, Signal
from monitor.core.model.incident import (
    STORE_CHECK,
    Incident,
    IncidentClass,
    IncidentPhase,
    Member,
)
from monitor.core.model.observation import Code
from monitor.core.model.verdict import Outcome, Reason
from monitor.core.timeline import MONITOR, record

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence
    from datetime import datetime

    from monitor.core.model.check_state import CheckState
    from monitor.core.model.endpoint import Check
    from monitor.core.model.incident import TimelineEntry
    from monitor.core.situation import Situation

MONITOR_SERVICE: Final = "production-monitor"
"""The service whose incidents are about this program: what it cannot see."""

CHECK: Final = "check"
"""The detail of a timeline's line that names the check which came or went."""

_CLASS: Final = {
    Signal.HEALTH: IncidentClass.OUTAGE,
    Signal.LATENCY: IncidentClass.OUTAGE,
    Signal.RATE: IncidentClass.OUTAGE,
    Signal.VALUE: IncidentClass.OUTAGE,
    Signal.HEADERS: IncidentClass.FINDING,
    Signal.CERTIFICATE: IncidentClass.FINDING,
}


class NewsKind(StrEnum):
    """What became of an incident; the values are the timeline's event names.

    That a check fails again, or passes, while it is flapping stands in the timeline alone.
    """

    OPENED = "opened"
    JOINED = "joined"
    SEVERITY_RAISED = "severity_raised"
    SEVERITY_LOWERED = "severity_lowered"
    CHECK_CLOSED = "check_closed"
    FLAPPING = "flapping"
    FAILS_AGAIN = "fails_again"
    PASSES = "passes"
    SETTLED = "settled"
    CAUSE_CHANGED = CAUSE_CHANGED
    ACKNOWLEDGED = "acknowledged"
    NOTED = "noted"
    AFFECTS = "affects"
    RELEASED = "released"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One turn of an incident; `incident` is as it stood right after, `text` says the turn.

    `check` is the one that came or went, empty where it is about all of them.
    """

    kind: NewsKind
    incident: Incident
    text: str
    check: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentStep:
    """What some check events did to incidents: the changed records, and what there is to tell."""

    changes: Changes = NOTHING
    news: tuple[News, ...] = ()


NO_STEP: Final = IncidentStep()
"""What most moments do to incidents."""


def apply(
    events: Sequence[CheckEvent],
    checks: Mapping[str, Check],
    situation: Situation,
    now: datetime,
) -> IncidentStep:
    """Open, join and resolve incidents; the situation is read, not changed.

    There is one open incident per service and class; blindness belongs to the monitor's own. An
    event of a check that is no longer configured can only close.
    """
    draft = _Draft(situation, now)
    for event in events:
        check = checks.get(event.check)
        match event.change:
            case Change.OPENED if check is not None:
                draft.join(check.service, _CLASS[check.signal], _member(check, event))
            case Change.WENT_BLIND if check is not None:
                draft.join(MONITOR_SERVICE, IncidentClass.MONITOR, _member(check, event))
            case Change.CLOSED:
                draft.leave(event.check, event.at, blind=False)
            case Change.PAUSED:
                draft.pause(event)
            case Change.SETTLED if check is not None:
                draft.settle(_member(check, event))
            case Change.CHANGED:
                draft.change_cause(event)
            case Change.SEES_AGAIN:
                draft.leave(event.check, event.at, blind=True)
            case _:
                pass

    return draft.step()


def find_unfiled(
    states: Iterable[CheckState], events: Sequence[CheckEvent], situation: Situation
) -> tuple[CheckEvent, ...]:
    """Give an opening for each failing open check that neither an event nor an incident knows.

    There is none unless a record was lost; then people are told late rather than never. A person
    who resolved an incident knows of what still fails in it.
    """
    return tuple(
        CheckEvent(
            change=Change.OPENED,
            check=state.check,
            at=state.last_at,
            since=state.failing_since or state.last_at,
            failures=state.consecutive_failures,
            reasons=state.last_reasons,
        )
        for state in states
        if state.open and state.last_outcome is Outcome.FAIL and state.last_at is not None
        if not any(event.check == state.check for event in events)
        if not any(holds(one, state.check, blind=False) for one in situation.open_incidents())
        if let_go(state.check, situation.left_failing(), blind=False) is None
    )


def adopt(checks: Mapping[str, Check], situation: Situation, now: datetime) -> IncidentStep:
    """Fit open incidents to a changed configuration.

    A check that is no longer configured leaves with a note; a changed severity counts at once.
    """
    draft = _Draft(situation, now)
    for incident in situation.open_incidents():
        for member in incident.members:
            if member.closed_at is not None or member.check == STORE_CHECK:
                continue
            check = checks.get(member.check)
            if check is None:
                draft.leave(
                    member.check, now, blind=incident.klass is IncidentClass.MONITOR, removed=True
                )
            elif check.severity is not member.severity:
                draft.weigh(incident.id, check)

    return draft.step()


def store_failed(error: str, situation: Situation, now: datetime) -> IncidentStep:
    """Open, once, what tells people that nothing can be remembered; `error` holds no secrets."""
    if _open_store_incident(situation) is not None:
        return NO_STEP

    draft = _Draft(situation, now)
    member = Member(
        check=STORE_CHECK,
        severity=Severity.CRITICAL,
        since=now,
        failures=1,
        reasons=(Reason(code=Code.INTERNAL, message=error or "no reason was given"),),
    )
    draft.join(MONITOR_SERVICE, IncidentClass.MONITOR, member)

    return draft.step()


def store_works_again(situation: Situation, now: datetime) -> IncidentStep:
    """Close what `store_failed` opened; nothing happens where nothing is open."""
    if _open_store_incident(situation) is None:
        return NO_STEP

    draft = _Draft(situation, now)
    draft.leave(STORE_CHECK, now, blind=True)

    return draft.step()


class _Draft:
    """Incidents as they become while one step is worked out, over a situation that stays."""

    def __init__(self, situation: Situation, now: datetime) -> None:
        self._situation = situation
        self._now = now
        self._changed: dict[str, Incident] = {}
        self._timeline: list[TimelineEntry] = []
        self._news: list[News] = []

    def step(self) -> IncidentStep:
        """Give what has become of the incidents."""
        changes = Changes(incidents=tuple(self._changed.values()), timeline=tuple(self._timeline))

        return IncidentStep(changes=changes, news=tuple(self._news))

    def join(self, service: str, klass: IncidentClass, member: Member) -> None:
        """Let a check be part of the open incident of its service and class, or open one."""
        alike = (
            one for one in self._changed.values() if (one.service, one.klass) == (service, klass)
        )
        known = self._situation.open_incident(service, klass)
        stays = known if known is not None and known.id not in self._changed else None
        incident = next((one for one in alike if one.open), stays)
        if incident is None:
            self._open_new(service, klass, member)
            return

        before = next((one for one in incident.members if one.check == member.check), None)
        others = tuple(one for one in incident.members if one.check != member.check)
        incident = replace(
            incident,
            members=(*others, member),
            since=min(incident.since, member.since),
            phase=_phase_on_joining(incident),
        )
        text = wording.joined(member, klass, at=self._now)
        if before is None or before.closed_at is not None:
            incident = self._turn(incident, NewsKind.JOINED, text, member.check)
        elif member.flapping and not before.flapping:
            incident = self._turn(incident, NewsKind.FLAPPING, text, member.check)
        elif member.flapping and is_recorded(member.flapping):
            incident = self._write(incident, NewsKind.FAILS_AGAIN, wording.fails_again(member))
        else:
            self._changed[incident.id] = incident
        if member.severity.rank < incident.severity.rank:
            self._grade(incident, member.severity)

    def leave(self, check: str, at: datetime, *, blind: bool, removed: bool = False) -> None:
        """Let a check close in its incident; with the last one the incident is over."""
        incident = next((one for one in self._open() if holds(one, check, blind=blind)), None)
        if incident is None:
            incident = let_go(check, self._situation.left_failing(), blind=blind)
        if incident is None:
            return

        members = tuple(
            replace(one, closed_at=at) if one.check == check and one.closed_at is None else one
            for one in incident.members
        )
        still = [one for one in members if one.closed_at is None]
        left = wording.left(check, still, incident.klass, removed=removed)
        incident = replace(incident, members=members)
        if not incident.open:  # a person has resolved it before
            self._write(incident, NewsKind.CHECK_CLOSED, left)
            return
        if still or incident.declared:
            phase = incident.phase if still else IncidentPhase.MONITORING
            incident = replace(incident, severity=_worst(incident), phase=phase)
            self._turn(incident, NewsKind.CHECK_CLOSED, left, check)
            return

        incident = self._write(incident, NewsKind.CHECK_CLOSED, left)
        incident = replace(incident, phase=IncidentPhase.RESOLVED, resolved_at=self._now)
        over = wording.closed(incident, left) if removed else wording.headline(incident, at=at)
        self._turn(incident, NewsKind.RESOLVED, over)

    def pause(self, event: CheckEvent) -> None:
        """Note that a check that flaps passes for now: its incident goes on."""
        check = event.check
        incident = next((one for one in self._open() if holds(one, check, blind=False)), None)
        if incident is not None and event.flapping and is_recorded(event.flapping):
            self._write(incident, NewsKind.PASSES, wording.paused(check))

    def settle(self, member: Member) -> None:
        """Let a check that flapped fail for good: it is an ordinary member from now on."""
        incident = next(
            (one for one in self._open() if holds(one, member.check, blind=False)), None
        )
        if incident is None:
            return

        others = tuple(one for one in incident.members if one.check != member.check)
        incident = replace(incident, members=(*others, member))
        self._turn(incident, NewsKind.SETTLED, wording.settled(member, at=self._now), member.check)

    def change_cause(self, event: CheckEvent) -> None:
        """Let an open check fail for another cause than people were told of."""
        check = event.check
        incident = next((one for one in self._open() if holds(one, check, blind=False)), None)
        if incident is None:
            return

        known = next(one for one in incident.members if one.check == check)
        member = replace(
            known,
            reasons=event.reasons,
            failures=event.failures,
            causes=(*known.causes, cause_of(known.reasons)),
        )
        members = tuple(member if one is known else one for one in incident.members)
        text = wording.cause_changed(member, known.reasons)
        self._turn(replace(incident, members=members), NewsKind.CAUSE_CHANGED, text, check)

    def weigh(self, incident_id: str, check: Check) -> None:
        """Give an open member the severity that its check has now."""
        incident = self._changed.get(incident_id) or self._situation.incidents[incident_id]
        members = tuple(
            replace(one, severity=check.severity) if one.check == check.id else one
            for one in incident.members
        )
        incident = replace(incident, members=members)
        self._changed[incident_id] = incident
        worst = _worst(incident)
        if worst is not incident.severity:
            self._grade(incident, worst)

    def _grade(self, incident: Incident, severity: Severity) -> None:
        text = wording.severity_changed(incident.severity, severity)
        worse = severity.rank < incident.severity.rank
        kind = NewsKind.SEVERITY_RAISED if worse else NewsKind.SEVERITY_LOWERED
        taken = None if worse else incident.acknowledgement  # of what was less bad
        self._turn(replace(incident, severity=severity, acknowledgement=taken), kind, text)

    def _open(self) -> list[Incident]:
        """Give the incidents that are open in this draft, oldest first."""
        known = [
            self._changed.get(incident.id, incident)
            for incident in self._situation.open_incidents()
        ]
        new = [
            incident
            for id, incident in self._changed.items()
            if id not in self._situation.incidents
        ]

        return [incident for incident in (*known, *new) if incident.open]

    def _open_new(self, service: str, klass: IncidentClass, member: Member) -> None:
        deploy = self._situation.current_deploy(service)
        incident = Incident(
            id=new_id(
                service, klass, ChainMap(self._changed, self._situation.incidents), self._now
            ),
            service=service,
            klass=klass,
            severity=member.severity,
            phase=IncidentPhase.INVESTIGATING,
            since=member.since,
            opened_at=self._now,
            members=(member,),
            deploy_id=deploy.id if deploy else None,
        )
        text = wording.headline(incident, at=self._now)
        self._turn(incident, NewsKind.OPENED, text, member.check)

    def _turn(self, incident: Incident, kind: NewsKind, text: str, check: str = "") -> Incident:
        """Take over a change of an incident that people may be told of."""
        incident = self._write(incident, kind, text, check)
        self._news.append(News(kind=kind, incident=incident, text=text, check=check))

        return incident

    def _write(self, incident: Incident, kind: NewsKind, text: str, check: str = "") -> Incident:
        details = ((CHECK, check),) if check else ()
        incident, entry = record(incident, self._now, MONITOR, kind.value, text, details)
        self._changed[incident.id] = incident
        self._timeline.append(entry)

        return incident


def new_id(service: str, klass: IncidentClass, taken: Container[str], now: datetime) -> str:
    """Give a readable id; one of the same second gets a number behind it."""
    slug = re.sub(r"[^a-z0-9]+", "-", service.lower()).strip("-") or "service"
    base = f"{slug}-{klass}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    number, id = 1, base
    while id in taken:
        number += 1
        id = f"{base}-{number}"

    return id


def _member(check: Check, event: CheckEvent) -> Member:
    return Member(
        check=check.id,
        severity=check.severity,
        since=event.since,
        failures=event.failures,
        reasons=event.reasons,
        target=check.target,
        flapping=event.flapping,
        service=check.service,
    )


def _worst(incident: Incident) -> Severity:
    """Give how bad an incident is: as its worst open check, and as a person said at least."""
    found = [one.severity for one in incident.members if one.closed_at is None]
    if incident.declared is not None:
        found.append(incident.declared)

    return min(found, key=lambda severity: severity.rank)


def _open_store_incident(situation: Situation) -> Incident | None:
    incident = situation.open_incident(MONITOR_SERVICE, IncidentClass.MONITOR)

    return incident if incident and holds(incident, STORE_CHECK, blind=True) else None


def _phase_on_joining(incident: Incident) -> IncidentPhase:
    """What fails anew is not recovered; a cause or rollback that was found stays found."""
    if incident.phase is not IncidentPhase.MONITORING:
        return incident.phase

    return IncidentPhase.IDENTIFIED if incident.rollback_id else IncidentPhase.INVESTIGATING
