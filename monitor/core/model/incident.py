"""Incidents: what is broken for a service, since when, and what was done about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import OWN_TROUBLE

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.check_state import Flapping
    from monitor.core.model.endpoint import Severity
    from monitor.core.model.verdict import Reason


class IncidentClass(StrEnum):
    """One open incident per service and class. `monitor` is about this program itself."""

    OUTAGE = "outage"
    FINDING = "finding"
    MONITOR = "monitor"


STORE_CHECK: Final = "monitor.store"
"""The member of the monitor's own incident that is no check: the store cannot be written."""


class IncidentPhase(StrEnum):
    """The public phases of an incident."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One check of an incident: `since` its first failing sample, `closed_at` None while open.

    `target` is what was asked, as it may be shown; empty where nothing is. One that is flapping
    may pass at times, and stays open until it has settled. `service` is that of the check, also in
    the monitor's own incident. `causes` are the earlier ones of which people were told.
    """

    check: str
    severity: Severity
    since: datetime
    failures: int
    reasons: tuple[Reason, ...]
    closed_at: datetime | None = None
    target: str = ""
    flapping: Flapping | None = None
    service: str = ""
    causes: tuple[str, ...] = ()

    @property
    def asked(self) -> str:
        """What was asked, as it may be shown: of several requests the one that was answered so."""
        first = self.reasons[0].asked if self.reasons else ""

        return first or self.target

    @property
    def silent(self) -> bool:
        """Whether a check that cannot be judged waits for somebody's answer.

        Else the trouble is the monitor's own.
        """
        return bool(self.reasons) and self.reasons[0].code not in OWN_TROUBLE


class Withheld(StrEnum):
    """Why people are not told of an incident for now, the strongest first."""

    DEPENDENCY = "dependency"
    MAINTENANCE = "maintenance"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """By what an incident is withheld, and since when.

    `by` is the incident of the dependency, the id of the silence, or the name of the maintenance
    window. `until` is when it ends by itself, where that is known. `ended_at` is since when nothing
    withholds it any more: it is kept until a sample shows what became of the incident meanwhile.
    """

    why: Withheld
    by: str
    since: datetime
    until: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Who has taken an incident on, and when."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """When people of a route were last told that an incident goes on.

    `after` is for how long they had known of it then, as `Attention.lasted` counts.
    """

    route: str
    after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """What people were told of an incident, and what the clock has done about it since.

    `told_at` is when its opening was queued, or the newest rise of its severity: reminders,
    escalation and response targets count from there. None: nobody was told yet. While it is
    withheld (`hold`) that clock stands still: `held` is for how long it stood in all before.
    `escalated` names the steps that were taken, `breached` the targets that were missed: each once.
    """

    told_at: datetime | None = None
    hold: Hold | None = None
    held: timedelta = timedelta()
    escalated: tuple[str, ...] = ()
    reminded: tuple[Reminder, ...] = ()
    breached: tuple[str, ...] = ()

    def lasted(self, now: datetime) -> timedelta:
        """Give for how long people have known, without the times in which it was withheld."""
        if self.told_at is None:
            return timedelta()

        standing = now - max(self.hold.since, self.told_at) if self.hold else timedelta()

        return max(now - self.told_at - self.held - standing, timedelta())


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What is wrong with one service. `sequence` is the number of its newest timeline entry.

    One that a person opened has a `title`, and members only where checks joined it; it ends when
    a person resolves it, and is at least as bad as was `declared`. One that a person resolved may
    have members that are not closed: their failure is known, and opens nothing anew. `labels` are
    what people say of it afterwards.
    """

    id: str
    service: str
    klass: IncidentClass
    severity: Severity
    phase: IncidentPhase
    since: datetime
    opened_at: datetime
    members: tuple[Member, ...]
    sequence: int = 0
    resolved_at: datetime | None = None
    deploy_id: str | None = None
    rollback_id: str | None = None
    acknowledgement: Acknowledgement | None = None
    attention: Attention = Attention()
    title: str = ""
    declared: Severity | None = None
    labels: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether it is not resolved yet."""
        return self.resolved_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One line of an incident's append-only record, UTC.

    `actor` is `monitor`, a person or a provider. `event` is a stable name, `text` speaks to people.
    `evidence` is what was seen at that moment, as it may be shown, over several lines; `details`
    are the facts of an action by their names.
    """

    incident: str
    sequence: int
    at: datetime
    actor: str
    event: str
    text: str
    evidence: str = ""
    details: tuple[tuple[str, str], ...] = ()
