"""Trying a receiver: one marked message, sent at once, and what came of it in words."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import IncidentClass, IncidentPhase
from monitor.core.model.notice import (
    Delivered,
    Delivery,
    Earlier,
    Notice,
    NoticeEvent,
    Refused,
    TryAgain,
)
from monitor.core.outbox import Why
from monitor.dispatch import DEADLINE

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from monitor.core.model.notice import Receipt
    from monitor.core.model.service import Directory
    from monitor.notifiers.notifier import Notifier

_HINTS: Final = (
    (r"not_in_channel|channel_not_found", "invite the bot into the channel, or name it by its id"),
    (r"missing_scope", "the bot needs the scope chat:write"),
    (
        r"invalid_auth|not_authed|token_revoked|account_inactive",
        "the token is none, or was revoked",
    ),
    (r"invalid_token|no_service|no_team", "the webhook was revoked, or its URL is not whole"),
    (r"routing_key|invalid event", "is it the key of an Events API v2 integration of this region?"),
    (r"answered (530|534|535)\b", "are username and password right, and is `tls` what it wants?"),
    (r"answered (401|403)\b", "the credentials are not taken"),
    (r"answered (404|405|410)\b", "nothing takes notices there: is the URL right?"),
)
"""What most often stands behind what a receiver says, the most particular first."""

_REASONS: Final = {
    Why.UNREACHABLE: "is the address right, and may this machine reach it?",
    Why.TLS: (
        "is the certificate of an authority of your own? `email` and `alertmanager` take it as "
        "`ca_file`, the other kinds trust whom this machine trusts"
    ),
    Why.TIMEOUT: "it may have arrived all the same: look there",
    Why.CONNECTION_LOST: "it may have arrived all the same: look there",
    Why.REDIRECTED: "name the address that it leads to",
    Why.RATE_LIMITED: "it is told too much at present; what is real is tried again",
    Why.SERVER_ERROR: "the receiver is in trouble; what is real is tried again",
    Why.BAD_ANSWER: "something else than the receiver answers there",
    Why.MISCONFIGURED: "it cannot be sent as it is configured",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of a test: whether it was taken, in words, and what to look at where it was not."""

    notifier: str
    delivered: bool
    text: str
    hint: str = ""


async def try_notifier(
    name: str,
    notifier: Notifier,
    directory: Directory,
    now: datetime,
    *,
    patience: timedelta = DEADLINE,
) -> Tried:
    """Send one message that says that it is a test, past routes, silences and the outbox."""
    delivery = write_test(name, directory, now)
    try:
        async with asyncio.timeout(patience.total_seconds()):
            receipt = await notifier.deliver(delivery, Earlier())
    except TimeoutError:
        receipt = TryAgain(reason=Why.TIMEOUT, error="the attempt did not end in time")
    except Exception as error:  # noqa: BLE001 - as around any delivery: it is told, whatever it was
        receipt = TryAgain(reason=Why.INTERNAL, error=f"{type(error).__name__}: {error}"[:300])

    return _say(name, delivery, receipt)


def write_test(name: str, directory: Directory, now: datetime) -> Delivery:
    """Write the message of a test."""
    incident = f"test-{now:%Y%m%dT%H%M%S}-{name}"
    notice = Notice(
        event=NoticeEvent.TEST,
        incident=incident,
        sequence=1,
        klass=IncidentClass.MONITOR,
        service="production-monitor",
        environment=directory.environment,
        location=directory.location,
        severity=Severity.LOW,
        phase=IncidentPhase.INVESTIGATING,
        headline=f"This is a test of the notifier {name}: nothing is wrong",
        since=now,
        at=now,
        members=(),
    )

    return Delivery(id=incident, key=incident, notifier=name, notice=notice, queued_at=now)


def _say(name: str, delivery: Delivery, receipt: Receipt) -> Tried:
    match receipt:
        case Delivered(reference=reference):
            about = f"as {reference}" if reference else f"as {delivery.notice.incident}"
            return Tried(notifier=name, delivered=True, text=f"delivered, {about}")
        case Refused(reason=reason, error=error):
            hint = _hint(reason, error)
            return Tried(notifier=name, delivered=False, text=f"refused: {error}", hint=hint)
        case TryAgain(reason=reason, error=error):
            wait = ""
            if receipt.after:
                wait = f", asks to wait {receipt.after.total_seconds():g} s"
            hint = _hint(reason, error)
            text = f"not delivered: {error}{wait}"
            return Tried(notifier=name, delivered=False, text=text, hint=hint)


def _hint(reason: str, error: str) -> str:
    for pattern, hint in _HINTS:
        if re.search(pattern, error):
            return hint

    return next((hint for why, hint in _REASONS.items() if why == reason), "")
