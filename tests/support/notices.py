"""Notices and deliveries for tests, and a notifier that does what a test says."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import Incident, IncidentClass, IncidentPhase, Member
from monitor.core.model.notice import (
    Contact,
    Delivered,
    Delivery,
    Earlier,
    Link,
    Notice,
    NoticeEvent,
    RollbackSummary,
    Task,
)
from monitor.core.model.observation import Code
from monitor.core.model.verdict import Reason
from monitor.notifiers.notifier import Manner, NotifierContext

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from monitor.core.model.notice import Receipt

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
USER_AGENT = "production-monitor/test"


def make_reason(message: str = "status is 500, expected 2xx", **parts: Any) -> Reason:
    return Reason(code=Code.STATUS, message=message, expected="2xx", found="500", **parts)


def make_member(check: str = "api.health", *, reason: str = "", **parts: Any) -> Member:
    reasons = (make_reason(reason) if reason else make_reason(at="monitor.yml:4:9"),)
    wanted = {"severity": Severity.HIGH, "since": NOON, "failures": 5, "reasons": reasons}
    wanted["target"] = "https://shop.example/health"

    return Member(check=check, **{**wanted, **parts})


def make_notice(event: NoticeEvent = NoticeEvent.OPENED, **parts: Any) -> Notice:
    over = event is NoticeEvent.RESOLVED
    end = NOON + timedelta(minutes=3)
    wanted: dict[str, Any] = {
        "event": event,
        "incident": "shop-1",
        "sequence": 9 if over else 1,
        "klass": IncidentClass.OUTAGE,
        "service": "shop",
        "environment": "production",
        "location": "eu-west",
        "severity": Severity.HIGH,
        "phase": IncidentPhase.RESOLVED if over else IncidentPhase.INVESTIGATING,
        "headline": "shop has recovered after 3 min (api.health)"
        if over
        else "shop answers 500, expected 2xx, for 2 min (api.health, 5 times in a row)",
        "since": NOON,
        "at": end if over else NOON + timedelta(minutes=2),
        "members": (make_member(closed_at=end if over else None),),
        "resolved_at": end if over else None,
        "description": "Public shop",
        "contacts": (Contact(role="on_call", name="@web-oncall"),),
        "links": (Link(name="runbook", url="https://wiki.example/shop"),),
    }

    return Notice(**{**wanted, **parts})


def make_delivery(
    notice: Notice | None = None, *, notifier: str = "oncall", id: str = "", **parts: Any
) -> Delivery:
    notice = notice or make_notice()
    named = id or f"{notice.incident}/{notice.sequence}/{notifier}"
    wanted = {"queued_at": notice.at, **parts}

    return Delivery(id=named, key=f"key-{named}", notifier=notifier, notice=notice, **wanted)


def make_endless_notice(letter: str) -> Notice:
    """Give a notice of which each part is longer than any receiver takes."""
    long = letter * 5_000

    return make_notice(
        headline=long,
        description=long,
        members=tuple(
            make_member(f"c{number}.health", reason=long, target=long) for number in range(300)
        ),
        links=tuple(
            Link(name=long, url=f"https://x.example/{'u' * 2_000}{number}") for number in range(50)
        ),
        checklist=tuple(Task(text=long) for _ in range(50)),
        evidence=tuple((long, "\n".join([long] * 50)) for _ in range(5)),
    )


def make_pair(incident: str = "shop-1", **parts: Any) -> tuple[Delivery, Delivery]:
    """Give the beginning and the end of one incident."""
    return (
        make_delivery(make_notice(incident=incident), **parts),
        make_delivery(make_notice(NoticeEvent.RESOLVED, incident=incident), **parts),
    )


def an_incident(of: Notice, **parts: Any) -> Incident:
    """Give the incident that a notice is about, as it goes on."""
    wanted: dict[str, Any] = {
        "id": of.incident,
        "service": of.service,
        "klass": of.klass,
        "severity": of.severity,
        "phase": IncidentPhase.INVESTIGATING,
        "since": of.since,
        "opened_at": of.at,
        "members": of.members,
    }

    return Incident(**{**wanted, **parts})


def make_rollback(state: str = "recovered") -> RollbackSummary:
    return RollbackSummary(
        id="rb-1", state=state, from_version="v42", to_version="v41", reason="api.health passes"
    )


def make_context(
    mask: Callable[[str], str] = str, clock: Callable[[], datetime] = lambda: NOON
) -> NotifierContext:
    return NotifierContext(clock=clock, user_agent=USER_AGENT, mask=mask)


@dataclass
class ScriptedNotifier:
    """Gives the receipts of a script, then `then`; it records what it was asked to tell."""

    script: deque[Receipt | Exception] = field(default_factory=deque)
    then: Receipt = field(default_factory=Delivered)
    told: list[tuple[Delivery, Earlier]] = field(default_factory=list)
    arrived: list[Delivery] = field(default_factory=list)
    gate: asyncio.Event | None = None
    closed: bool = False
    manner: Manner = field(default_factory=lambda: Manner(digests=True))

    async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
        self.told.append((delivery, earlier))
        if self.gate is not None:
            await self.gate.wait()
        receipt = self.script.popleft() if self.script else self.then
        if isinstance(receipt, Exception):
            raise receipt
        if isinstance(receipt, Delivered):
            self.arrived.append(delivery)
            if receipt.reference is None:
                receipt = replace(
                    receipt, reference=earlier.reference or f"ref-{len(self.arrived)}"
                )

        return receipt

    async def close(self) -> None:
        self.closed = True

    @property
    def told_ids(self) -> list[str]:
        return [delivery.id for delivery, _ in self.told]
