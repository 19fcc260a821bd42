"""What every kind of notifier promises, whoever the receiver is: each kind has a stand in here."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from monitor.core.model.notice import Delivered, DigestLine, Earlier, NoticeEvent, Refused, TryAgain
from monitor.core.outbox import Why
from monitor.examination import Examinable, Unfit
from monitor.notifiers import KINDS
from monitor.options import Redactor
from tests.support.logs import capture_logs
from tests.support.mail import serve_mailbox
from tests.support.notices import NOON, make_context, make_delivery, make_notice, make_rollback
from tests.support.receiver import answers, drips, drops, floods, hangs, redirects, serve_receiver
from tests.support.servers import hang_up, say_nothing, serve_script, unused_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from monitor.core.model.notice import Notice, Receipt
    from monitor.notifiers.notifier import Notifier
    from tests.support.receiver import Behaviour

    Standing = AbstractAsyncContextManager[Mapping[str, Any]]

CANARY = "canary7d81"
KEY = f"{CANARY}{'0' * 22}"
PATIENCE = timedelta(seconds=10)


@dataclass(frozen=True, kw_only=True)
class Stand:
    """How a kind is tried: `options` for a receiver at an origin, and what it answers if well.

    `again`, `refused` and `works` are further receivers, by what they do; those of HTTP are the
    same for all kinds. One that is not `remote` cannot know whether anybody is there.
    """

    options: Callable[[str], Mapping[str, Any]]
    well: Behaviour | None = None
    speaks_http: bool = True
    remote: bool = True
    again: Mapping[str, Callable[[], Standing]] | None = None
    refused: Mapping[str, Callable[[], Standing]] | None = None
    works: Callable[[], Standing] | None = None


def echoes(status: int) -> Behaviour:
    """Say again what was asked, as receivers do that mean to help."""

    async def behave(request: web.Request) -> web.StreamResponse:
        said = f"{request.path_qs} {request.headers.get('Authorization')} {await request.text()}"
        return web.Response(status=status, text=said)

    return behave


def _mail(port: int) -> Mapping[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": port,
        "tls": "none",
        "from": "m@shop.example",
        "to": ["a@shop.example"],
        "username": "monitor",
        "password": CANARY,
    }


@asynccontextmanager
async def _mail_that(*then: str) -> AsyncIterator[Mapping[str, Any]]:
    async with serve_mailbox() as mailbox:
        mailbox.then.extend(then)
        options = dict(_mail(mailbox.port))
        del options["username"], options["password"]
        yield options


@asynccontextmanager
async def _mail_script(script: Any) -> AsyncIterator[Mapping[str, Any]]:
    async with serve_script(script, reads_head=False) as server:
        yield _mail(server.port)


def _program(code: str) -> Mapping[str, Any]:
    return {"run": ["/bin/sh", "-c", f"echo $TOKEN; exit {code}"], "env": {"TOKEN": CANARY}}


@asynccontextmanager
async def _ending(code: str) -> AsyncIterator[Mapping[str, Any]]:
    yield _program(code)


@asynccontextmanager
async def _apprise_told(then: Behaviour) -> AsyncIterator[Mapping[str, Any]]:
    async with serve_receiver(then=then) as receiver:
        yield {"url": f"json://127.0.0.1:{receiver.port}/{CANARY}"}


STANDS = {
    "slack": Stand(
        options=lambda origin: {"webhook_url": f"{origin}/services/T/B/{CANARY}"},
        well=answers(200, "ok"),
    ),
    "webhook": Stand(
        options=lambda origin: {"url": f"{origin}/{CANARY}", "secret": CANARY}, well=answers()
    ),
    "pagerduty": Stand(
        options=lambda origin: {"routing_key": KEY, "base_url": origin}, well=answers(202, "{}")
    ),
    "alertmanager": Stand(
        options=lambda origin: {"urls": [origin], "auth": {"bearer": CANARY}},
        well=answers(200, ""),
    ),
    "email": Stand(
        options=lambda origin: _mail(int(origin.rpartition(":")[2])),
        speaks_http=False,
        works=_mail_that,
        again={
            "4xx": lambda: _mail_that("451 later"),
            "silence": lambda: _mail_that("hang"),
            "an end without an answer": lambda: _mail_that("drop"),
            "no greeting": lambda: _mail_script(say_nothing),
            "hanging up": lambda: _mail_script(hang_up),
        },
        refused={"5xx": lambda: _mail_that("554 no")},
    ),
    "discord": Stand(
        options=lambda origin: {"webhook_url": f"{origin}/api/webhooks/1/{CANARY}"},
        well=answers(200, '{"id": "1400000000000000000"}'),
    ),
    "teams": Stand(
        options=lambda origin: {"webhook_url": f"{origin}/workflows/w/invoke?sig={CANARY}"},
        well=answers(202, ""),
    ),
    "telegram": Stand(
        options=lambda origin: {"token": f"1:{CANARY}", "chat": 1, "base_url": origin},
        well=answers(200, '{"ok": true, "result": {"message_id": 1, "chat": {"id": 1}}}'),
    ),
    "command": Stand(
        options=lambda _origin: _program("0"),
        speaks_http=False,
        remote=False,
        again={
            "exit 75": lambda: _ending("75"),
            "exit 1": lambda: _ending("1"),
            "a signal": lambda: _ending("$(kill -9 $$)"),
            "silence": lambda: _ending("$(exec sleep 7433)"),
        },
        refused={"exit 77": lambda: _ending("77")},
    ),
    "apprise": Stand(
        options=lambda origin: {"url": f"json://{origin.rpartition('/')[2] or 'h'}/{CANARY}"},
        speaks_http=False,
        remote=False,
        works=lambda: _apprise_told(answers()),
        again={
            "500": lambda: _apprise_told(answers(500, "")),
            "403": lambda: _apprise_told(answers(403, "")),
            "silence": lambda: _apprise_told(hangs()),
        },
    ),
    "log": Stand(options=lambda _origin: {}, speaks_http=False, remote=False),
}
"""One for each kind: a kind without is a test that fails."""

HTTP = [kind for kind, stand in STANDS.items() if stand.speaks_http]
REMOTE = [kind for kind, stand in STANDS.items() if stand.remote]


def make(kind: str, options: Mapping[str, Any], timeout_ms: int = 300) -> Notifier:
    timeout = {} if kind == "log" else {"timeout": f"{timeout_ms}ms"}
    read = KINDS[kind].options.model_validate({**timeout, **options})
    notifier: Notifier = KINDS[kind].make(read, make_context(Redactor(read.secrets).mask))

    return notifier


async def deliver(notifier: Notifier, notice: Notice | None = None) -> Receipt:
    """Deliver one, within the time that any kind may take."""
    async with asyncio.timeout(PATIENCE.total_seconds()):
        receipt = await notifier.deliver(make_delivery(notice), Earlier())
        await notifier.close()

    return receipt


@asynccontextmanager
async def working(kind: str) -> AsyncIterator[Notifier]:
    """Give a notifier whose receiver takes everything."""
    stand = STANDS[kind]
    async with AsyncExitStack() as stack:
        if stand.works is not None:
            options = await stack.enter_async_context(stand.works())
        elif stand.speaks_http:
            receiver = await stack.enter_async_context(serve_receiver(then=stand.well))
            options = stand.options(receiver.origin)
        else:
            options = stand.options("")
        yield make(kind, options)


def every_notice() -> list[Notice]:
    """Give one of each event, and some that hold everything or nothing."""
    line = DigestLine(
        incident="shop-1",
        event=NoticeEvent.OPENED,
        service="shop",
        severity=make_notice().severity,
        headline="shop is down",
        since=NOON,
        at=NOON,
    )
    notices = [make_notice(event) for event in NoticeEvent if event is not NoticeEvent.DIGEST]
    notices += [
        make_notice(NoticeEvent.DIGEST, members=(), lines=(line,) * 30),
        make_notice(NoticeEvent.ROLLBACK, rollback=make_rollback("executing")),
        make_notice(NoticeEvent.ROLLBACK, rollback=make_rollback("failed")),
        make_notice(NoticeEvent.TEST, members=(), contacts=(), links=(), description=""),
        make_notice(headline="\ud800 \0 " + "x" * 20_000, service="s" * 300, environment=""),
    ]

    return notices


def test_every_kind_is_tried() -> None:
    assert set(STANDS) == set(KINDS)


@pytest.mark.parametrize("kind", STANDS)
async def test_whatever_there_is_to_tell_is_told(kind: str) -> None:
    async with working(kind) as notifier:
        for notice in every_notice():
            receipt = await deliver(notifier, notice)
            assert isinstance(receipt, Delivered), (notice.event, receipt)


@pytest.mark.parametrize("kind", STANDS)
async def test_it_says_how_fast_it_may_be_told(kind: str) -> None:
    async with working(kind) as notifier:
        assert notifier.manner.burst >= 1
        assert timedelta() <= notifier.manner.every <= timedelta(seconds=5)


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(echoes(500), id="500"),
        pytest.param(answers(503, ""), id="503"),
        pytest.param(answers(429, "", retry_after="17"), id="429"),
        pytest.param(answers(429, "", retry_after="abc"), id="429 and junk"),
        pytest.param(answers(408, ""), id="408"),
        pytest.param(hangs(), id="silence"),
        pytest.param(drips(), id="drips"),
        pytest.param(floods(503), id="floods"),
        pytest.param(drops(), id="an end without an answer"),
    ],
)
@pytest.mark.parametrize("kind", HTTP)
async def test_what_may_pass_is_tried_again(kind: str, behaviour: Behaviour) -> None:
    async with serve_receiver(then=behaviour) as receiver:
        receipt = await deliver(make(kind, STANDS[kind].options(receiver.origin), 100))

    assert isinstance(receipt, TryAgain)
    assert receipt.reason in set(Why)
    assert CANARY not in receipt.error


@pytest.mark.parametrize("kind", HTTP)
async def test_a_wish_to_wait_is_handed_on(kind: str) -> None:
    async with serve_receiver(then=answers(429, "", retry_after="17")) as receiver:
        receipt = await deliver(make(kind, STANDS[kind].options(receiver.origin)))

    assert isinstance(receipt, TryAgain)
    assert receipt.after == timedelta(seconds=17)


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(echoes(400), id="400"),
        pytest.param(answers(401, ""), id="401"),
        pytest.param(answers(403, "no"), id="403"),
        pytest.param(answers(404, ""), id="404"),
        pytest.param(answers(410, ""), id="410"),
        pytest.param(redirects(f"http://127.0.0.1:9/{CANARY}"), id="302"),
    ],
)
@pytest.mark.parametrize("kind", HTTP)
async def test_what_cannot_pass_is_refused(kind: str, behaviour: Behaviour) -> None:
    async with serve_receiver(then=behaviour) as receiver:
        receipt = await deliver(make(kind, STANDS[kind].options(receiver.origin)))

    assert isinstance(receipt, Refused)
    assert receipt.reason in set(Why)
    assert CANARY not in receipt.error


def _ways(which: str) -> list[Any]:
    return [
        pytest.param(kind, way, id=f"{kind} {name}")
        for kind, stand in STANDS.items()
        for name, way in (getattr(stand, which) or {}).items()
    ]


@pytest.mark.parametrize(("kind", "way"), _ways("again"))
async def test_what_may_pass_elsewhere_is_tried_again(
    kind: str, way: Callable[[], Standing]
) -> None:
    async with way() as options:
        receipt = await deliver(make(kind, options))

    assert isinstance(receipt, TryAgain)
    assert receipt.reason in set(Why)
    assert CANARY not in receipt.error


@pytest.mark.parametrize(("kind", "way"), _ways("refused"))
async def test_what_cannot_pass_elsewhere_is_refused(
    kind: str, way: Callable[[], Standing]
) -> None:
    async with way() as options:
        receipt = await deliver(make(kind, options))

    assert isinstance(receipt, Refused)


@pytest.mark.parametrize("kind", REMOTE)
async def test_nobody_there_is_tried_again_and_no_secret_is_logged(kind: str) -> None:
    notifier = make(kind, STANDS[kind].options(f"http://127.0.0.1:{unused_port()}"))

    with capture_logs() as log:
        receipt = await deliver(notifier)

    assert isinstance(receipt, TryAgain)
    assert receipt.reason == Why.UNREACHABLE
    assert CANARY not in f"{receipt} {log}"


@pytest.mark.parametrize("kind", REMOTE)
async def test_doctor_is_told_that_nobody_is_there(kind: str) -> None:
    notifier = make(kind, STANDS[kind].options(f"http://127.0.0.1:{unused_port()}"))

    assert isinstance(notifier, Examinable)
    with pytest.raises(Unfit) as caught:
        await notifier.examine()
    await notifier.close()

    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("kind", STANDS)
def test_options_show_no_secret(kind: str) -> None:
    options = STANDS[kind].options("http://127.0.0.1:9")
    read = KINDS[kind].options.model_validate(options)

    assert CANARY not in repr(read)
    assert CANARY not in str(read)
