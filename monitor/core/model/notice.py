"""Notices: what is to be told, and the outbox row that makes sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from monitor.core.model.endpoint import Severity
    from monitor.core.model.incident import IncidentClass, IncidentPhase, Member


class NoticeEvent(StrEnum):
    """Why a notice is sent: the webhook's `event`."""

    OPENED = "opened"
    UPDATED = "updated"
    REMINDER = "reminder"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    ROLLBACK = "rollback"
    DIGEST = "digest"
    BLIND = "blind"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackSummary:
    """The rollback as a notice tells it.

    `approvable` and `vetoable` say what a person may press; `due_at` is when it begins by itself,
    or when nobody may approve it any more. `kind` is `rollback` or `remedy`. `by` is
    who started or approved it.
    """

    id: str
    state: str
    from_version: str | None
    to_version: str | None
    reason: str
    approvable: bool = False
    vetoable: bool = False
    due_at: datetime | None = None
    kind: str = "rollback"
    level: int = 1
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Somebody to call: their role (`commander`, `on_call`, `guardian`) and their name."""

    role: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A place to look: `runbook`, `incident`, `service`."""

    name: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One line of a checklist; `done` is None where only a person can know."""

    text: str
    done: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestLine:
    """One notice among many that are told together: what it would have said first, and when."""

    incident: str
    event: NoticeEvent
    service: str
    severity: Severity
    headline: str
    since: datetime
    at: datetime
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Everything a notifier needs to tell one change of one incident, without its own look-ups.

    `headline` is the one sentence for the woken person. `members` are all checks of the incident
    as they stood at `at`. `sequence` orders the notices of one incident. `better` marks an update
    that only tells of what passes again; `may_roll_back` says that the service is rolled back by
    itself, or would be. `deploy` was live when it began, since `deployed_at`. `checklist` is what
    to do now, each with whether it is done. `evidence` are commands that were run when it opened,
    by name, with the end of what they said. A digest has `lines`: it is about many incidents,
    and `incident` is the id of the digest. `affected` are the services that fail because of this
    one, and `common_cause` says how many others began to fail with it. `title` is what a person
    called it who opened it. All times are UTC.
    """

    event: NoticeEvent
    incident: str
    sequence: int
    klass: IncidentClass
    service: str
    environment: str
    location: str
    severity: Severity
    phase: IncidentPhase
    headline: str
    since: datetime
    at: datetime
    members: tuple[Member, ...]
    resolved_at: datetime | None = None
    description: str = ""
    contacts: tuple[Contact, ...] = ()
    links: tuple[Link, ...] = ()
    deploy: str | None = None
    deployed_at: datetime | None = None
    rollback: RollbackSummary | None = None
    better: bool = False
    may_roll_back: bool = False
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    checklist: tuple[Task, ...] = ()
    evidence: tuple[tuple[str, str], ...] = ()
    lines: tuple[DigestLine, ...] = ()
    title: str = ""
    affected: tuple[str, ...] = ()
    common_cause: str = ""

    @property
    def all_clear(self) -> bool:
        """Whether it says that all it is about is over."""
        over = self.event is NoticeEvent.DIGEST and self.resolved_at is not None

        return over or self.event is NoticeEvent.RESOLVED


class DeliveryState(StrEnum):
    """Where an outbox row stands. `inflight` after a restart may have been sent already."""

    QUEUED = "queued"
    INFLIGHT = "inflight"
    DELIVERED = "delivered"
    DEAD = "dead"


PENDING: Final = (DeliveryState.QUEUED, DeliveryState.INFLIGHT)
"""The states of what still has to be delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One outbox row: one notice for one notifier, delivered at least once and in order.

    `key` is the idempotency key, the same on each attempt. `not_before` is a lower bound that
    survives restarts; `asked_to_wait` says that it is the receiver's own wish, which is about all
    that it is to be told. `reference` is what the receiver called the message (Slack's `ts`).
    `maybe_sent` marks a row whose attempt may have reached the receiver before a crash. `told_in`
    is the id of the delivery whose message told this one as well: a digest, or the end of its
    incident. `instead_of` is the notifier for which this one stands in, since that could not tell.
    """

    id: str
    key: str
    notifier: str
    notice: Notice
    queued_at: datetime
    state: DeliveryState = DeliveryState.QUEUED
    attempts: int = 0
    not_before: datetime | None = None
    asked_to_wait: bool = False
    delivered_at: datetime | None = None
    last_error: str = ""
    reference: str | None = None
    maybe_sent: bool = False
    told_in: str = ""
    instead_of: str = ""

    @property
    def pending(self) -> bool:
        """Whether it still has to be delivered."""
        return self.state in PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What a receiver has from earlier messages about the same incident.

    `reference` is what it called the newest of them, None where there is none. `digest` is the key
    of the message that told of it together with many others, where it had none of its own, and
    `others` how many of those are open still.
    """

    reference: str | None = None
    digest: str = ""
    others: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The receiver has it; `reference` names the message at the receiver, if it said so."""

    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    """The attempt failed in a way that may pass; `after` is the receiver's own lower bound."""

    reason: str
    error: str
    after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The receiver will never take it: a dead letter, and the fallback is told."""

    reason: str
    error: str


Receipt = Delivered | TryAgain | Refused
