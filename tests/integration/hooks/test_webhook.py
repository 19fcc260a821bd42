from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from monitor.core.model.rollback import Effect, EffectOutcome
from monitor.hooks.webhook import WebhookHook, WebhookOptions
from tests.support.hooks import TOLD, make_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = b"0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@dataclass
class Receiver:
    """A real server that answers as it is told, and keeps what it got."""

    status: int = 200
    text: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0
    url: str = ""
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append((request.method, headers, await request.read()))
        await asyncio.sleep(self.delay)

        return web.Response(status=self.status, text=self.text, headers=self.headers)


@asynccontextmanager
async def receive(**answer: Any) -> AsyncIterator[Receiver]:
    receiver = Receiver(**answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/rollback"
        yield receiver
    finally:
        await runner.cleanup()


async def send(url: str, *, secrets: tuple[str, ...] = (), **options: Any) -> Effect:
    hook = WebhookHook(
        WebhookOptions.model_validate({"url": url, **options}),
        make_context(*secrets, clock=lambda: NOW),
    )
    try:
        return await hook.apply(TOLD)
    finally:
        await hook.close()


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "done"),
        (201, "done"),
        (202, "done"),
        (204, "done"),
        (301, "uncertain"),
        (302, "uncertain"),
        (400, "refused"),
        (401, "refused"),
        (403, "refused"),
        (404, "refused"),
        (408, "uncertain"),
        (409, "uncertain"),
        (410, "refused"),
        (422, "refused"),
        (425, "uncertain"),
        (429, "uncertain"),
        (500, "uncertain"),
        (502, "uncertain"),
        (503, "uncertain"),
    ],
)
async def test_a_status_has_its_outcome(status: int, outcome: str) -> None:
    async with receive(status=status, text="" if status == 204 else "said") as receiver:
        effect = await send(receiver.url)

    assert effect.outcome is EffectOutcome(outcome)
    assert effect.detail == f"answered {status}"
    assert len(receiver.got) == 1


async def test_a_redirect_is_not_followed() -> None:
    async with (
        receive() as other,
        receive(status=307, headers={"location": other.url}) as receiver,
    ):
        effect = await send(receiver.url)

    assert effect.outcome is EffectOutcome.UNCERTAIN
    assert other.got == []


async def test_the_body_is_what_a_command_gets_on_standard_input() -> None:
    async with receive() as receiver:
        await send(receiver.url)

    ((method, headers, body),) = receiver.got
    told = json.loads(body)
    assert method == "POST"
    assert headers["content-type"] == "application/json"
    assert (told["service"], told["from_version"], told["attempt"]) == ("shop", "v2", 1)


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        pytest.param("whsec_" + base64.b64encode(KEY).decode(), KEY, id="whsec_"),
        pytest.param("a plain secret", b"a plain secret", id="plain"),
    ],
)
async def test_it_is_signed_as_standard_webhooks_are(secret: str, key: bytes) -> None:
    async with receive() as receiver:
        await send(receiver.url, secret=secret)

    ((_, headers, body),) = receiver.got
    assert headers["webhook-id"] == TOLD.step_key
    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


async def test_without_a_secret_it_is_not_signed() -> None:
    async with receive() as receiver:
        await send(receiver.url)

    assert "webhook-signature" not in receiver.got[0][1]
    assert receiver.got[0][1]["webhook-id"] == TOLD.step_key


async def test_method_and_headers_are_the_configured_ones() -> None:
    async with receive() as receiver:
        await send(
            receiver.url, method="delete", headers={"Authorization": "Bearer s3cret-of-admin"}
        )

    ((method, headers, _),) = receiver.got
    assert method == "DELETE"
    assert headers["authorization"] == "Bearer s3cret-of-admin"


async def test_an_answer_that_does_not_come_is_uncertain() -> None:
    async with receive(delay=5) as receiver:
        effect = await send(receiver.url, timeout="300ms")

    assert effect.outcome is EffectOutcome.UNCERTAIN
    assert len(receiver.got) == 1


async def test_a_connection_that_ends_before_the_answer_is_uncertain() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        effect = await send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")

    assert effect.outcome is EffectOutcome.UNCERTAIN


async def test_where_nobody_listens_nothing_was_applied() -> None:
    async with receive() as receiver:
        pass

    effect = await send(receiver.url)

    assert effect.outcome is EffectOutcome.NOTHING_APPLIED
    assert "nothing was sent" in effect.detail


async def test_a_long_answer_is_cut_and_secrets_in_it_are_masked() -> None:
    text = "s3cret-of-admin known-elsewhere " + "x" * 1_000_000
    async with receive(text=text) as receiver:
        effect = await send(
            receiver.url,
            headers={"x-token": "s3cret-of-admin"},
            secrets=("known-elsewhere",),
        )

    assert effect.outcome is EffectOutcome.DONE
    assert effect.output.startswith("*** *** xxx")
    assert len(effect.output) <= 64 * 1024


async def test_the_path_of_its_address_is_masked_where_the_receiver_says_it_again() -> None:
    async with receive(text="no such thing: /rollback/s3cret?a=1") as receiver:
        effect = await send(f"{receiver.url}/s3cret?a=1")

    assert effect.output == "no such thing: ***"


async def test_no_secret_is_in_what_is_said_of_a_failure() -> None:
    effect = await send(
        "http://127.0.0.1:1/s3cret-path",
        headers={"x-token": "s3cret-of-admin"},
        secret="s3cret-key",
    )

    assert "s3cret" not in effect.detail + effect.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"url": "ftp://ops.example/"}, "expected a URL", id="another scheme"),
        pytest.param({"url": "not a url"}, "expected a URL", id="no URL"),
        pytest.param({"method": "BAD METHOD"}, "expected a method", id="a bad method"),
        pytest.param({"headers": {"a b": "x"}}, "a header name", id="a bad header name"),
        pytest.param({"headers": {"Webhook-Id": "x"}}, "set by the monitor", id="a header of ours"),
        pytest.param({"headers": {"a": "x\r\ny: z"}}, "one line", id="a line break"),
        pytest.param({"headers": {"A": "x", "a": "y"}}, "given twice", id="a header twice"),
        pytest.param({"secret": "whsec_???"}, "base64", id="a key that is no base64"),
        pytest.param({"secret": "whsec_"}, "found nothing", id="an empty key"),
        pytest.param({"timeout": "0s"}, "above 0", id="no time"),
        pytest.param({"redirects": True}, "Extra inputs", id="an unknown key"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookOptions.model_validate({"url": "https://ops.example/", **options})

    assert message in str(caught.value.errors()[0]["msg"])


def test_no_secret_is_in_the_representation_of_the_options() -> None:
    options = WebhookOptions.model_validate(
        {"url": "https://ops.example/s3cret", "headers": {"a": "s3cret"}, "secret": "s3cret"}
    )

    assert "s3cret" not in repr(options)
