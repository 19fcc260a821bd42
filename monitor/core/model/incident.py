"""Incidents: what is broken for a service, since when, and what was done about it."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What is wrong with one service. `sequence` is the number of its newest timeline entry."""

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

    @property
    def open(self) -> bool:
        """Whether it is not resolved yet."""
        return self.resolved_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One line of an incident's append-only record, UTC.

    `actor` is `monitor`, a person or a provider. `event` is a stable name, `text` speaks to people.
    """

    incident: str
    sequence: int
    at: datetime
    actor: str
    event: str
    text: str
