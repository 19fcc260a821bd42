"""A notice as a message of plain text, with the headers that keep an incident one thread."""

from __future__ import annotations

import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING, Final

from monitor.core import wording
from monitor.core.model.endpoint import Severity
from monitor.core.model.notice import NoticeEvent
from monitor.core.wording.told import digest_line
from monitor.unseen import blank

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from monitor.core.model.notice import Delivery, Notice

_LONGEST_SUBJECT: Final = 180
_LONGEST_LINE: Final = 2_000
_LONGEST_EVIDENCE: Final = 4_000
_MOST_CHECKS: Final = 50
_MOST_LINES: Final = 200
_URGENT: Final = frozenset({Severity.CRITICAL, Severity.HIGH})
_TAGS: Final = frozenset({NoticeEvent.RESOLVED, NoticeEvent.ACKNOWLEDGED, NoticeEvent.TEST})
_ABOUT_NO_SERVICE: Final = frozenset({NoticeEvent.TEST, NoticeEvent.DIGEST, NoticeEvent.BLIND})
_NO_ID: Final = re.compile(r"[^0-9A-Za-z._-]+")


def write_id(key: str, sender: str) -> str:
    """Give the Message-ID of a notice: the same whenever it is sent."""
    return f"<{_NO_ID.sub('-', key)[:200]}@{sender.rpartition('@')[2]}>"


def write_mail(
    delivery: Delivery,
    *,
    id: str,
    first: str | None,
    sender: str,
    recipients: Sequence[str],
    now: datetime,
) -> bytes:
    """Write a whole message; `first` is the Message-ID of the one with which the thread began."""
    notice = delivery.notice
    mail = EmailMessage(policy=SMTP)
    mail["From"] = _address(sender)
    mail["To"] = tuple(_address(one) for one in recipients)
    mail["Subject"] = _subject(notice)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = id
    if first is not None and first != id and _is_id(first):
        mail["In-Reply-To"] = first
        mail["References"] = first
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    if notice.severity in _URGENT and notice.event not in _TAGS and not notice.all_clear:
        mail["Importance"] = "high"
    mail.set_content("\n".join(_write_body(delivery)), cte="quoted-printable")

    return mail.as_bytes()


def _address(text: str) -> Address:
    name, address = parseaddr(text)

    return Address(display_name=name, addr_spec=address)


def _is_id(text: str) -> bool:
    return text.startswith("<") and text.endswith(">") and text.isprintable() and " " not in text


def _subject(notice: Notice) -> str:
    event = NoticeEvent.RESOLVED if notice.all_clear else notice.event
    tag = event.value if event in _TAGS else notice.severity.value
    said = _one_line(notice.headline)
    if notice.event not in _ABOUT_NO_SERVICE and not said.startswith(notice.service):
        said = f"{_one_line(notice.service)}: {said}"

    return f"[{tag.upper()}] {said}"[:_LONGEST_SUBJECT]


def _write_body(delivery: Delivery) -> Iterator[str]:
    notice = delivery.notice
    yield from (_one_line(line) for line in wording.whole_text(notice).splitlines())
    for title, lines in _sections(notice):
        if lines:
            yield from ("", title, *(f"- {_one_line(line)}" for line in lines))
    for name, said in notice.evidence:
        yield from ("", f"{_one_line(name)}:")
        yield from (f"    {_plain(line)}" for line in said[:_LONGEST_EVIDENCE].splitlines())
    repeat = " This may repeat an earlier message." if delivery.maybe_sent else ""
    yield from ("", f"Notice {delivery.key}, {wording.time_text(notice.at)}.{repeat}")


def _sections(notice: Notice) -> Iterator[tuple[str, list[str]]]:
    told = [digest_line(one) for one in notice.lines[:_MOST_LINES]]
    yield "What happened:", told + _and_more(len(notice.lines) - len(told))
    checks = [wording.member_line(one) for one in notice.members[:_MOST_CHECKS]]
    yield "Checks:", checks + _and_more(len(notice.members) - len(checks))
    yield (
        "To do:",
        [f"{'done: ' if task.done else ''}{task.text}" for task in notice.checklist],
    )
    yield "Facts:", [f"{name}: {text}" for name, text in wording.facts(notice)]
    yield "Links:", [f"{link.name}: {link.url}" for link in notice.links]


def _and_more(number: int) -> list[str]:
    return [f"and {number} more"] if number else []


def _one_line(text: str) -> str:
    return " ".join(_plain(text).split())[:_LONGEST_LINE]


def _plain(text: str) -> str:
    """Take out what moves cursors, breaks lines or turns them: a target may have answered it."""
    return blank(text)
