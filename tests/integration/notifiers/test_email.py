"""E-mail through a real SMTP server: threads, TLS and logins, and each way it can say no."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.model.endpoint import Severity
from monitor.core.model.notice import (
    Delivered,
    DigestLine,
    Earlier,
    NoticeEvent,
    Refused,
    Task,
    TryAgain,
)
from monitor.examination import Unfit
from monitor.notifiers.email import EmailNotifier, EmailOptions
from tests.support.authority import Authority
from tests.support.logs import capture_logs
from tests.support.mail import (
    MAILBOX_PASSWORD,
    MAILBOX_USER,
    Mailbox,
    drips,
    floods,
    serve_lines,
    serve_mailbox,
)
from tests.support.notices import NOON, make_context, make_delivery, make_member, make_notice
from tests.support.servers import serve_script, unused_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from monitor.core.model.notice import Receipt

ANA, BEN = "ana@shop.example", "ben@shop.example"


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with serve_mailbox() as served:
        yield served


def make(port: int, **options: Any) -> EmailNotifier:
    wanted = {
        "host": "127.0.0.1",
        "port": port,
        "tls": "none",
        "from": "Monitor <monitor@shop.example>",
        "to": [ANA, f"Ben <{BEN}>"],
        "timeout": "3s",
        **options,
    }

    return EmailNotifier(EmailOptions.model_validate(wanted), make_context())


OPENED = make_delivery()
UPDATED = make_delivery(make_notice(NoticeEvent.UPDATED, sequence=2))
RESOLVED = make_delivery(make_notice(NoticeEvent.RESOLVED))
LOGIN = {"username": MAILBOX_USER, "password": MAILBOX_PASSWORD}


async def test_a_message_says_first_what_is_wrong_and_then_all_of_it(mailbox: Mailbox) -> None:
    notice = make_notice(
        checklist=(Task(text="Look at the queue"), Task(text="Tell support", done=True)),
        evidence=(("logs", "one\ntwo"),),
    )
    receipt = await make(mailbox.port).deliver(make_delivery(notice), Earlier())

    [mail] = mailbox.mails
    assert isinstance(receipt, Delivered)
    assert mail.recipients == (ANA, BEN)
    assert mail.sender == "monitor@shop.example"
    assert mail.message["From"] == "Monitor <monitor@shop.example>"
    assert mail.message["Subject"].startswith("[HIGH] shop answers 500, expected 2xx")
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.message["Importance"] == "high"
    assert parsedate_to_datetime(mail.message["Date"]) == NOON
    first, second, *rest = mail.text.splitlines()
    assert first.startswith("shop answers 500, expected 2xx, for 2 min")
    assert second.startswith("Since ")
    assert "Runbook: https://wiki.example/shop" in second
    assert "- Look at the queue" in rest
    assert "- done: Tell support" in rest
    assert "    two" in rest
    assert "- On call: @web-oncall" in rest


async def test_what_happens_to_an_incident_is_one_thread(mailbox: Mailbox) -> None:
    notifier, earlier = make(mailbox.port), Earlier()
    for delivery in (OPENED, UPDATED, RESOLVED):
        receipt = await notifier.deliver(delivery, earlier)
        assert isinstance(receipt, Delivered)
        earlier = Earlier(reference=receipt.reference)

    opened, updated, resolved = (mail.message for mail in mailbox.mails)
    assert opened["In-Reply-To"] is None
    assert updated["In-Reply-To"] == updated["References"] == opened["Message-ID"]
    assert resolved["References"] == opened["Message-ID"]
    assert len({one["Message-ID"] for one in (opened, updated, resolved)}) == 3
    assert resolved["Subject"].startswith("[RESOLVED] shop has recovered")


async def test_a_repeat_is_the_same_message_and_says_so(mailbox: Mailbox) -> None:
    from dataclasses import replace

    mailbox.then.append("drop")
    notifier = make(mailbox.port)

    lost = await notifier.deliver(OPENED, Earlier())
    again = await notifier.deliver(replace(OPENED, maybe_sent=True), Earlier())

    first, second = mailbox.mails
    assert lost == TryAgain(reason="connection_lost", error="the connection ended too early")
    assert isinstance(again, Delivered)
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert "may repeat" in second.text


async def test_a_digest_has_its_lines_and_what_follows_replies_to_it(mailbox: Mailbox) -> None:
    lines = tuple(
        DigestLine(
            incident=f"i-{number}",
            event=NoticeEvent.OPENED,
            service="shop",
            severity=Severity.CRITICAL,
            headline=f"shop-{number} is down",
            since=NOON,
            at=NOON,
        )
        for number in range(300)
    )
    digest = make_delivery(
        make_notice(
            NoticeEvent.DIGEST,
            incident="digest-1",
            headline="300 incidents",
            members=(),
            lines=lines,
        )
    )
    notifier = make(mailbox.port)

    await notifier.deliver(digest, Earlier())
    receipt = await notifier.deliver(RESOLVED, Earlier(digest=digest.key, others=3))

    told, over = mailbox.mails
    assert "shop-0 is down" in told.text
    assert "and 100 more" in told.text
    assert over.message["In-Reply-To"] == told.message["Message-ID"]
    assert receipt == Delivered()


async def test_nothing_that_a_target_says_forges_a_header_or_a_line(mailbox: Mailbox) -> None:
    evil = "down\r\nBcc: eve@evil.example\r\n\r\nhello\x1b[31m \u2028x"
    notice = make_notice(
        headline=evil,
        service="shop\r\nX-Evil: 1",
        members=(make_member(reason=evil),),
        evidence=(("e\nvil", evil + "\r\n.\r\nQUIT"),),
    )

    receipt = await make(mailbox.port).deliver(
        make_delivery(notice, id="i\r\nX-Evil: 2>"), Earlier(reference="<x>\r\nX-Evil: 3")
    )

    [mail] = mailbox.mails
    message = mail.message
    assert isinstance(receipt, Delivered)
    assert message["Bcc"] is message["X-Evil"] is message["In-Reply-To"] is None
    assert mail.recipients == (ANA, BEN)
    assert "\x1b" not in mail.text
    assert "\r" not in message["Subject"]
    assert "    QUIT" in mail.text.splitlines()


async def test_by_starttls_the_login_is_encrypted_and_the_certificate_verified(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    async with serve_mailbox(tls=authority.context(), login=True) as mailbox:
        secure = {"tls": "starttls", **LOGIN}
        trusted = {**secure, "ca_file": str(authority.file)}
        unknown = await make(mailbox.port, **secure).deliver(OPENED, Earlier())
        known = await make(mailbox.port, **trusted).deliver(OPENED, Earlier())
        said = await make(mailbox.port, **trusted).examine()
        with pytest.raises(Unfit) as caught:
            await make(mailbox.port, **secure).examine()

    [mail] = mailbox.mails
    assert isinstance(unknown, TryAgain)
    assert unknown.reason == "tls"
    assert unknown.error.startswith("the certificate is not trusted: ")
    assert isinstance(known, Delivered)
    assert mail.user == MAILBOX_USER
    assert said == (
        f"127.0.0.1:{mailbox.port} takes mail with TLSv1.3, the login is taken; nothing was sent"
    )
    assert "the certificate is not trusted" in str(caught.value)


async def test_tls_from_the_start(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with serve_mailbox(implicit=authority.context(), login=True) as mailbox:
        trusted = {"tls": "implicit", "ca_file": str(authority.file), **LOGIN}
        unknown = await make(mailbox.port, tls="implicit").deliver(OPENED, Earlier())
        known = await make(mailbox.port, **trusted).deliver(OPENED, Earlier())

    assert isinstance(unknown, TryAgain)
    assert unknown.reason == "tls"
    assert isinstance(known, Delivered)
    assert len(mailbox.mails) == 1


async def test_a_server_without_starttls_hears_nothing(mailbox: Mailbox) -> None:
    receipt = await make(mailbox.port, tls="starttls").deliver(OPENED, Earlier())

    assert receipt == TryAgain(reason="tls", error="the server offers no STARTTLS")
    assert mailbox.mails == []


async def test_a_wrong_password_is_refused_and_never_shown(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with serve_mailbox(tls=authority.context(), login=True) as mailbox:
        options = {"tls": "starttls", "ca_file": str(authority.file), "username": MAILBOX_USER}
        notifier = make(mailbox.port, password="wrong-canary", **options)
        with capture_logs() as log:
            receipt = await notifier.deliver(OPENED, Earlier())
        with pytest.raises(Unfit) as caught:
            await notifier.examine()

    assert isinstance(receipt, Refused)
    assert receipt.error.startswith("answered 535 ")
    assert "answered 535" in str(caught.value)
    assert "canary" not in f"{log} {receipt} {caught.value}"


async def test_what_the_server_repeats_of_a_password_is_masked(tmp_path: Path) -> None:
    from base64 import b64encode

    plain = b64encode(b"\0mon\0canary-7d81").decode()
    context = Authority(tmp_path).context()
    turns = (
        ("", "220 mail\r\n"),
        ("EHLO", "250-mail\r\n250 AUTH PLAIN\r\n"),
        ("AUTH", f"535 no {plain} canary-7d81\r\n"),
    )
    async with serve_lines(*turns, tls=context) as (server, _):
        receipt = await make(server.port, username="mon", password="canary-7d81").deliver(
            OPENED, Earlier()
        )

    assert receipt == Refused(reason="refused", error="answered 535 no *** ***")


async def test_who_refuses_for_good_keeps_nobody_else_from_being_told(mailbox: Mailbox) -> None:
    mailbox.refuses[BEN] = "550 no such user"

    with capture_logs() as log:
        receipt = await make(mailbox.port).deliver(OPENED, Earlier())

    [line] = log
    assert isinstance(receipt, Delivered)
    assert mailbox.mails[0].recipients == (ANA,)
    assert (line["event"], line["recipient"]) == ("email_recipient_refused", BEN)
    assert line["error"] == "answered 550 no such user"


async def test_who_is_put_off_gets_it_later_and_nobody_twice(mailbox: Mailbox) -> None:
    mailbox.refuses[BEN] = "450 come back later"
    notifier = make(mailbox.port)

    first = await notifier.deliver(OPENED, Earlier())
    mailbox.refuses.clear()
    second = await notifier.deliver(OPENED, Earlier())

    assert first == TryAgain(
        reason="server_error", error=f"not taken yet for {BEN}: answered 450 come back later"
    )
    assert isinstance(second, Delivered)
    assert [mail.recipients for mail in mailbox.mails] == [(ANA,), (BEN,)]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("451 try later", TryAgain), ("554 looks like spam", Refused)],
    ids=["4xx", "5xx"],
)
async def test_four_hundreds_are_tried_again_and_five_hundreds_refused(
    mailbox: Mailbox, answer: str, kind: type[Receipt]
) -> None:
    notifier = make(mailbox.port)
    mailbox.then.append(answer)
    of_data = await notifier.deliver(OPENED, Earlier())
    mailbox.refuses |= {ANA: answer, BEN: answer}
    of_recipients = await notifier.deliver(OPENED, Earlier())

    for receipt in (of_data, of_recipients):
        assert isinstance(receipt, kind)
        assert not isinstance(receipt, Delivered)
        assert f"answered {answer}" in receipt.error


async def test_nobody_there_silence_and_nonsense_are_tried_again_in_time(
    mailbox: Mailbox,
) -> None:
    async def of(port: int) -> Receipt:
        return await make(port, timeout="300ms").deliver(OPENED, Earlier())

    started = asyncio.get_running_loop().time()
    nobody = await of(unused_port())
    mailbox.then.append("hang")
    hung = await of(mailbox.port)
    async with serve_script(drips(b"220 " + b"x" * 1_000, seconds=0.05), reads_head=False) as slow:
        dripped = await of(slow.port)
    async with serve_script(floods(b"220-x\r\n" * 1_000), reads_head=False) as loud:
        flooded = await of(loud.port)
    took = timedelta(seconds=asyncio.get_running_loop().time() - started)

    assert nobody == TryAgain(reason="unreachable", error="no connection: Connection refused")
    assert hung == dripped == TryAgain(reason="timeout", error="no complete answer in time")
    assert isinstance(flooded, TryAgain | Refused)
    assert took < timedelta(seconds=4)


async def test_it_calls_itself_by_a_name_or_an_address(mailbox: Mailbox) -> None:
    await make(mailbox.port, helo_name="monitor.shop.example").deliver(OPENED, Earlier())
    named = mailbox.hello
    await make(mailbox.port).deliver(OPENED, Earlier())

    assert named == "monitor.shop.example"
    assert "." in mailbox.hello
