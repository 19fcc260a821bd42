"""The kind `websocket`: upgrades by real servers, dialogues, and frames that break the rules."""

from __future__ import annotations

import base64
import hashlib
import resource
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import WSMsgType, web
from pydantic import ValidationError

from monitor.core.model.observation import Code, Phase
from monitor.core.model.verdict import Outcome
from monitor.probes import KINDS
from tests.support.authority import Authority
from tests.support.probing import ask, fault_of, judge_health, measured
from tests.support.servers import HOST, answers, hang_up, page, reset, serve_pages, serve_script

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from monitor.core.model.observation import Observation

    Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

BY_PATTERN = "probe_websocket_failed_due_to_regex"
UPGRADED = "probe_websocket_connection_upgraded"
STATUS = "probe_websocket_status_code"


async def shop(request: web.Request) -> web.WebSocketResponse:
    """Welcome, then answer each message with itself; `bye` ends it."""
    socket = web.WebSocketResponse(protocols=("shop.v2",), compress=True)
    await socket.prepare(request)
    await socket.send_str('{"type": "welcome", "session": "s-42"}')
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            continue
        if message.data == "bye":
            await socket.close(code=4001, message=b"as you wish")
            break
        await socket.send_str(f"echo {message.data}")

    return socket


def at(port: int, **options: Any) -> dict[str, Any]:
    return {"url": f"ws://{HOST}:{port}/live", **options}


@asynccontextmanager
async def serve_raw(script: Raw, *more: str) -> AsyncIterator[int]:
    """Agree to the upgrade, and go on with a script."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
        key = f"{lines['Sec-WebSocket-Key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        answer = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept}",
            *more,
        ]
        writer.write("\r\n".join([*answer, "\r\n"]).encode())
        await writer.drain()
        await script(reader, writer)

    async with serve_script(serve, reads_head=False) as server:
        yield server.port


def says(raw: bytes) -> Raw:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        await reader.read()

    return script


async def hear(script: Raw, *steps: dict[str, Any], timeout: float = 2) -> Observation:
    async with serve_raw(script) as port:
        return await ask(
            "websocket", at(port, dialogue=list(steps or [{"expect": "ok"}])), timeout=timeout
        )


# Upgrades and dialogues: what the inventory has in its group K


async def test_an_upgrade_is_enough_and_its_phases_are_named() -> None:
    async with serve_pages({"/live": shop}) as server:
        seen = await ask("websocket", f"ws://{HOST}:{server.port}/live")

    assert judge_health("websocket", seen).outcome is Outcome.PASS
    assert (seen.status, seen.http_version) == (101, "1.1")
    assert (measured(seen, UPGRADED), measured(seen, STATUS)) == (1, 101)
    assert measured(seen, BY_PATTERN) is None
    names = [dict(one.labels)["phase"] for one in seen.measures if "duration" in one.family]
    assert sorted(names) == ["connect", "processing", "resolve", "transfer"]
    assert all(one.value >= 0 for one in seen.measures)


async def test_a_dialogue_reuses_what_was_captured() -> None:
    async with serve_pages({"/live": shop}) as server:
        seen = await ask(
            "websocket",
            at(
                server.port,
                dialogue=[
                    {
                        "expect": '"session": "(?P<session>[^"]+)"',
                        "send": '{"subscribe": {"to": "{session}"}}',
                    },
                    {"expect": '^echo {"subscribe": {"to": "s-(\\d+)"}}$', "send": "{1}"},
                    {"expect": "^echo 42$"},
                ],
            ),
        )

    assert seen.fault is None
    assert measured(seen, BY_PATTERN) == 0
    assert seen.body == b"echo 42"


async def test_the_newest_message_can_be_looked_at() -> None:
    async with serve_pages({"/live": shop}) as server:
        seen = await ask("websocket", at(server.port, dialogue=[{"expect": "welcome"}]))

    good = judge_health("websocket", seen, {"json": "$.type", "equals": "welcome"})
    bad = judge_health("websocket", seen, {"json": "$.type", "equals": "farewell"})
    assert (good.outcome, bad.outcome) == (Outcome.PASS, Outcome.FAIL)


async def test_a_wrong_message_fails_and_is_quoted() -> None:
    async with serve_pages({"/live": shop}) as server:
        steps = [{"expect": "welcome", "send": "a"}, {"expect": "^echo b$"}]
        seen = await ask("websocket", at(server.port, dialogue=steps))

    assert fault_of(seen).code is Code.EXPECTATION
    assert fault_of(seen).message.endswith(
        'said "echo a", expected a message that matches "^echo b$"'
    )
    assert (measured(seen, BY_PATTERN), measured(seen, UPGRADED)) == (1, 1)
    assert seen.status == 101


async def test_other_messages_are_skipped_where_that_is_asked_for() -> None:
    async with serve_pages({"/live": shop}) as server:
        steps: list[dict[str, Any]] = [{"send": "a"}, {"expect": "^echo a$", "skip": True}]
        seen = await ask("websocket", at(server.port, dialogue=steps))
        steps[1]["expect"] = "^never$"
        late = await ask("websocket", at(server.port, dialogue=steps), timeout=0.3)

    assert seen.fault is None
    assert fault_of(late).message.endswith(
        'did not send a message that matches "^never$" but "echo a" within 300ms'
    )


async def test_a_close_is_told_with_its_code_and_reason() -> None:
    async with serve_pages({"/live": shop}) as server:
        steps = [{"expect": "welcome", "send": "bye"}, {"expect": "echo"}]
        seen = await ask("websocket", at(server.port, dialogue=steps))

    assert fault_of(seen).code is Code.EXPECTATION
    assert 'closed the WebSocket with 4001 ("as you wish"), expected' in fault_of(seen).message
    assert measured(seen, BY_PATTERN) == 1


async def test_credentials_headers_and_tls_go_with_the_upgrade(tmp_path: Path) -> None:
    told: list[dict[str, str]] = []

    async def strict(request: web.Request) -> web.StreamResponse:
        told.append(dict(request.headers))
        if request.headers.get("Authorization") != "Bearer t0ken-of-tests":
            return web.Response(status=401)
        return await shop(request)

    authority = Authority(tmp_path)
    async with serve_pages({"/live": strict}, tls=authority.context()) as server:
        options = {
            "url": f"wss://localhost:{server.port}/live?room=1",
            "auth": {"bearer": "t0ken-of-tests"},
            "headers": {"X-Tenant": "a", "Origin": "https://shop.example"},
            "tls": {"verify": False},
            "dialogue": [{"expect": "welcome"}],
        }
        seen = await ask("websocket", options)
        trusting = await ask("websocket", {**options, "tls": {"ca_file": str(authority.file)}})
        untrusted = await ask("websocket", {**options, "tls": {}})
        stranger = await ask("websocket", {**options, "auth": {"bearer": "another"}})

    assert seen.fault is None
    assert trusting.fault is None
    assert trusting.certificate is not None
    assert Phase.TLS in seen.phases
    assert (told[0]["X-Tenant"], told[0]["Origin"]) == ("a", "https://shop.example")
    assert told[0]["User-Agent"].startswith("production-monitor")
    assert not {"Sec-WebSocket-Extensions", "Accept-Encoding"} & set(told[0])
    assert measured(seen, "probe_websocket_duration_seconds", phase="tls") is None
    connect = measured(seen, "probe_websocket_duration_seconds", phase="connect")
    assert connect == pytest.approx(
        (seen.phases[Phase.CONNECT] + seen.phases[Phase.TLS]).total_seconds()
    )
    assert fault_of(untrusted).code is Code.TLS_CERT_UNTRUSTED
    assert untrusted.certificate is not None
    (reason,) = judge_health("websocket", stranger).reasons
    assert (reason.code, "401" in reason.message) == (Code.STATUS, True)
    assert judge_health("websocket", stranger, {"status": 401}).outcome is Outcome.PASS


@pytest.mark.parametrize("status", [200, 403, 426, 503])
async def test_another_status_is_seen_and_fails_however_long_its_page(status: int) -> None:
    async with serve_pages({"/live": page(b"x" * 3_000_000, status=status)}) as server:
        seen = await ask("websocket", at(server.port, dialogue=[{"expect": "x"}]))

    (reason,) = judge_health("websocket", seen).reasons
    assert seen.fault is None
    assert seen.status == status
    assert str(status) in reason.message
    assert "101" in reason.message
    assert (measured(seen, UPGRADED), measured(seen, STATUS)) == (0, status)
    assert measured(seen, BY_PATTERN) == 0


@pytest.mark.parametrize(("wanted", "agrees"), [("shop.v2", True), ("shop.v9", False)])
async def test_the_server_has_to_choose_one_of_the_subprotocols(wanted: str, agrees: bool) -> None:
    async with serve_pages({"/live": shop}) as server:
        seen = await ask("websocket", at(server.port, subprotocols=[wanted]))

    assert (seen.fault is None) is agrees


# Frames


async def test_fragments_are_put_together_and_pings_are_answered() -> None:
    heard: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x01\x02al" + b"\x89\x02hi" + b"\x80\x04l ok")
        heard.append(await reader.readexactly(8))
        writer.write(b"\x81\x04done")
        await reader.read()

    seen = await hear(script, {"expect": "^all ok$"}, {"expect": "^done$"})

    assert seen.fault is None
    assert heard[0][:2] == b"\x8a\x82"  # a pong, masked


LONG = b"\x82\x7f" + (10**12).to_bytes(8, "big")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        pytest.param(b"\x81\x82abcd\x0e\x09", "incorrect masking", id="a masked frame"),
        pytest.param(b"\xc1\x02ok", "reserved", id="compressed without being asked"),
        pytest.param(b"\x83\x02ok", "opcode", id="an opcode of nobody"),
        pytest.param(b"\x80\x02ok", "continuation", id="a continuation of nothing"),
        pytest.param(b"\x81\x02\xff\xfe", "no UTF-8", id="a text that is none"),
        pytest.param(LONG, "more than 256 KiB", id="a terabyte"),
        pytest.param(b"\x89\x7e\x01\x00" + b"x" * 256, "control frame", id="a huge ping"),
    ],
)
async def test_who_breaks_the_protocol_is_told_how(raw: bytes, said: str) -> None:
    seen = await hear(says(raw))

    assert fault_of(seen).code is Code.BAD_RESPONSE
    assert said in fault_of(seen).message
    assert measured(seen, UPGRADED) == 1


def floods(chunk: bytes) -> Raw:
    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(chunk)
            await writer.drain()

    return script


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(floods(b"\x89\x00" * 8000), id="pings"),
        pytest.param(floods(b"\x81\x00" * 8000), id="empty messages"),
        pytest.param(floods(b"\x01\x00" + b"\x00\x00" * 8000), id="empty fragments"),
        pytest.param(floods(b"\x01\x7e\xff\xff" + b"x" * 65535), id="large fragments"),
        pytest.param(floods(b"\x81\x7e\xff\xff" + b"x" * 65535), id="large messages"),
    ],
)
async def test_a_flood_is_ended_at_little_cost(script: Raw) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    seen = await hear(script, {"expect": "^never$", "skip": True}, timeout=5)
    after = resource.getrusage(resource.RUSAGE_SELF)

    assert fault_of(seen).code is Code.BAD_RESPONSE
    assert after.ru_utime - before.ru_utime < 1


@pytest.mark.parametrize(
    ("script", "code"),
    [
        pytest.param(hang_up, Code.CONNECTION_RESET, id="closes"),
        pytest.param(reset, Code.CONNECTION_RESET, id="resets"),
        pytest.param(says(b""), Code.TIMEOUT, id="says nothing"),
        pytest.param(says(b"\x81"), Code.TIMEOUT, id="half a frame"),
    ],
)
async def test_an_end_without_a_close_is_a_reset_and_silence_a_timeout(
    script: Raw, code: Code
) -> None:
    seen = await hear(script, timeout=0.3)

    assert fault_of(seen).code is code
    assert not fault_of(seen).own
    assert measured(seen, STATUS) == 101


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param(b"SSH-2.0-x\r\n\r\n", Code.BAD_RESPONSE, id="SSH"),
        pytest.param(b"\0" * 70_000, Code.BAD_RESPONSE, id="zeros"),
        pytest.param(b"HTTP/1.1 101 Sure\r\n\r\n", Code.BAD_RESPONSE, id="101 and no more"),
        pytest.param(
            b"HTTP/1.1 101 Sure\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: c3RvbGVu\r\n\r\n",
            Code.BAD_RESPONSE,
            id="an answer to another",
        ),
        pytest.param(b"HTTP/1.1 100 Go\r\n\r\n" * 50, Code.BAD_RESPONSE, id="interim for ever"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 5000 + b"\r\n",
            Code.BAD_RESPONSE,
            id="many headers",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\na: b", Code.CONNECTION_RESET, id="half a head"),
    ],
)
async def test_what_is_no_upgrade_is_said_to_be_none(raw: bytes, code: Code) -> None:
    async with serve_script(answers(raw)) as server:
        seen = await ask("websocket", at(server.port))

    assert fault_of(seen).code is code
    assert fault_of(seen).message.isprintable()
    assert not fault_of(seen).own


# Configuration


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"url": "https://shop.example/"}, "expected a URL such as wss", id="https"),
        pytest.param({"url": 5}, "expected a URL", id="a number"),
        pytest.param({"headers": {"Sec-WebSocket-Key": "x"}}, "set by the monitor", id="the key"),
        pytest.param({"dialogue": [{}]}, "expected one of expect, send", id="an empty step"),
        pytest.param({"dialogue": [{"send": "{who}"}]}, "captures {who}", id="nothing captured"),
        pytest.param({"dialogue": [{"send": "x", "skip": True}]}, "beside it", id="skip alone"),
        pytest.param({"subprotocols": ["a b"]}, "expected a subprotocol", id="subprotocol"),
        pytest.param(
            {"auth": {"bearer": "x"}, "headers": {"Authorization": "y"}},
            "either auth or a header",
            id="twice who we are",
        ),
        pytest.param(
            {
                "auth": {
                    "oauth2": {"token_url": "https://a/", "client_id": "a", "client_secret": "b"}
                }
            },
            "basic, bearer",
            id="oauth2",
        ),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        KINDS["websocket"].options.model_validate({"url": "wss://shop.example/", **options})

    assert said in str(caught.value)


def test_credentials_are_secret_wherever_they_stand() -> None:
    options: Any = KINDS["websocket"].options.model_validate(
        {
            "url": "wss://ana:hunter22@shop.example/live?token=t0ken-of-tests&room=1",
            "headers": {"X-Api-Key": "key-of-tests"},
            "dialogue": [{"send": '{"auth": {"token": "deep-canary"}}'}],
        }
    )

    secrets = {one.reveal() for one in options.secrets}
    assert {"hunter22", "t0ken-of-tests", "key-of-tests", "deep-canary"} <= secrets
    assert options.target == "wss://shop.example/live?token=***&room=1"
    assert all(secret not in repr(options) + options.target for secret in secrets)
