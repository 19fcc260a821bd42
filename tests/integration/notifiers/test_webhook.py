"""A webhook receiver over real sockets: what it gets, and what each of its answers means."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.model.notice import Delivered, Earlier, Refused, TryAgain
from monitor.notifiers._payload import payload
from monitor.notifiers.webhook import WebhookNotifier, WebhookOptions
from monitor.options import Redactor
from monitor.webhooks import sign
from tests.support.authority import Authority
from tests.support.notices import NOON, USER_AGENT, make_context, make_delivery
from tests.support.receiver import answers, drips, drops, hangs, redirects, serve_receiver
from tests.support.servers import answers_page, serve_script, unused_port

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.core.model.notice import Receipt

CANARY = "canary-7d81"


async def deliver(url: str, **options: Any) -> Receipt:
    read = WebhookOptions.model_validate({"url": url, "timeout": "2s", **options})
    notifier = WebhookNotifier(read, make_context())
    receipt = await notifier.deliver(
        make_delivery(), Earlier(reference="a thread means nothing here")
    )
    await notifier.close()

    assert CANARY not in str(receipt)

    return receipt


async def test_a_notice_is_posted_with_its_key_and_signature() -> None:
    async with serve_receiver(answers(204, "")) as receiver:
        receipt = await deliver(
            receiver.url("/hook?x=1"), secret=CANARY, headers={"Authorization": "Bearer mine"}
        )

    [request] = receiver.received
    delivery = make_delivery()
    timestamp = str(int(NOON.timestamp()))
    assert receipt == Delivered()
    assert (request.method, request.path) == ("POST", "/hook?x=1")
    assert request.json == payload(delivery)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == USER_AGENT
    assert request.headers["idempotency-key"] == delivery.key
    assert request.headers["authorization"] == "Bearer mine"
    assert request.headers["webhook-id"] == delivery.key
    assert request.headers["webhook-timestamp"] == timestamp
    assert request.headers["webhook-signature"] == sign(
        CANARY, delivery.key, timestamp, request.body
    )


async def test_without_a_secret_there_is_no_signature() -> None:
    async with serve_receiver() as receiver:
        await deliver(receiver.url())

    assert "webhook-signature" not in receiver.received[0].headers


async def test_a_lone_surrogate_that_a_target_sent_does_not_stop_the_notice() -> None:
    from tests.support.notices import make_notice

    options = WebhookOptions.model_validate({"url": "http://127.0.0.1:1/"})
    async with serve_receiver() as receiver:
        options = WebhookOptions.model_validate({"url": receiver.url()})
        odd = make_delivery(make_notice(headline="bad \udc80 byte"))
        receipt = await WebhookNotifier(options, make_context()).deliver(odd, Earlier())

    assert receipt == Delivered()


@pytest.mark.parametrize(
    ("status", "text", "receipt"),
    [
        (400, "no", Refused(reason="refused", error="answered 400 no")),
        (401, "", Refused(reason="refused", error="answered 401")),
        (403, CANARY, Refused(reason="refused", error="answered 403 ***")),
        (404, "two\nlines", Refused(reason="refused", error="answered 404 two lines")),
        (410, "", Refused(reason="refused", error="answered 410")),
        (408, "", TryAgain(reason="server_error", error="answered 408")),
        (425, "", TryAgain(reason="server_error", error="answered 425")),
        (429, "", TryAgain(reason="rate_limited", error="answered 429")),
        (500, "", TryAgain(reason="server_error", error="answered 500")),
        (503, "x" * 900, TryAgain(reason="server_error", error=f"answered 503 {'x' * 199}…")),
    ],
)
async def test_each_status_means_what_it_means(status: int, text: str, receipt: Receipt) -> None:
    async with serve_receiver(answers(status, text)) as receiver:
        assert await deliver(receiver.url(), secret=CANARY) == receipt


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [
        ("30", 30),
        ("64.57", 64.57),
        ("86400", 3600),
        ("Wed, 01 Jul 2026 12:00:30 GMT", 30),
        ("-1", None),
        ("abc", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_its_wish_to_wait_is_heard_in_every_form(
    status: int, wish: str, seconds: float | None
) -> None:
    async with serve_receiver(answers(status, "", retry_after=wish)) as receiver:
        receipt = await deliver(receiver.url())

    assert isinstance(receipt, TryAgain)
    assert receipt.after == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_refused_and_nothing_leaks(status: int) -> None:
    async with serve_receiver() as elsewhere:
        behaviour = redirects(elsewhere.url(f"/{CANARY}"), status)
        async with serve_receiver(behaviour) as receiver:
            receipt = await deliver(receiver.url(f"/{CANARY}"), secret=CANARY)

    assert elsewhere.received == []
    assert receipt == Refused(
        reason="redirected", error=f"answered {status}: redirects are not followed"
    )


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [(hangs(), "timeout"), (drips(), "timeout"), (drops(), "connection_lost")],
    ids=["hangs", "drips", "drops"],
)
async def test_no_complete_answer_is_tried_again(behaviour: Any, reason: str) -> None:
    async with serve_receiver(behaviour) as receiver:
        receipt = await deliver(receiver.url(f"/{CANARY}"), timeout="200ms")

    assert isinstance(receipt, TryAgain)
    assert receipt.reason == reason


async def test_a_closed_port_is_tried_again() -> None:
    receipt = await deliver(f"http://user:{CANARY}@127.0.0.1:{unused_port()}/{CANARY}")

    assert receipt == TryAgain(reason="unreachable", error="no connection: Connection refused")


async def test_a_bad_certificate_gets_nothing_and_is_tried_again(tmp_path: Path) -> None:
    async with serve_script(answers_page(), tls=Authority(tmp_path).context()) as receiver:
        receipt = await deliver(receiver.url(f"/{CANARY}"))

    assert receipt == TryAgain(reason="tls", error="the certificate is not trusted")
    assert receiver.heads == []


async def test_a_secret_from_a_file_is_read_again_for_each_notice() -> None:
    from monitor.options import Secret

    values = iter(["one", "one", "two", "three"])
    secret = Secret("first", refresh=lambda: next(values))
    async with serve_receiver() as receiver:
        options = WebhookOptions.model_validate({"url": receiver.url(), "secret": secret})
        notifier = WebhookNotifier(options, make_context(Redactor([secret]).mask))
        for _ in range(2):
            await notifier.deliver(make_delivery(), Earlier())

    signatures = [request.headers["webhook-signature"] for request in receiver.received]
    assert signatures[0] != signatures[1]


async def test_the_timeout_is_kept() -> None:
    import asyncio

    async with serve_receiver(hangs()) as receiver:
        started = asyncio.get_running_loop().time()
        await deliver(receiver.url(), timeout="300ms")
        took = timedelta(seconds=asyncio.get_running_loop().time() - started)

    assert timedelta(milliseconds=250) < took < timedelta(seconds=3)
