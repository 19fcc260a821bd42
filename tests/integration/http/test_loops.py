"""The probe sees the same on uvloop, on which the daemon runs, as on the loop of asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import uvloop

from monitor.core.model.observation import Code, Phase
from tests.support.http_probe import observe
from tests.support.servers import (
    answers,
    answers_page,
    page,
    reset,
    say_nothing,
    serve_pages,
    serve_script,
    unused_port,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from monitor.core.model.observation import Observation
    from tests.support.authority import Authority


async def verified(authority: Authority) -> Observation:
    async with serve_pages({"/": page(b"hi")}, tls=authority.context("shop.test")) as server:
        return await observe(server.url(host="shop.test"), tls={"ca_file": str(authority.file)})


async def untrusted(authority: Authority) -> Observation:
    async with serve_pages({"/": page(b"hi")}, tls=authority.context("shop.test")) as server:
        return await observe(server.url(host="shop.test"))


async def refused(_authority: Authority) -> Observation:
    return await observe(f"http://127.0.0.1:{unused_port()}/")


async def was_reset(_authority: Authority) -> Observation:
    async with serve_script(reset) as server:
        return await observe(server.url())


async def cut(_authority: Authority) -> Observation:
    async with serve_script(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi")) as server:
        return await observe(server.url())


async def reset_in_the_body(_authority: Authority) -> Observation:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi")
        await writer.drain()
        await asyncio.sleep(0.05)
        await reset(reader, writer)

    async with serve_script(script) as server:
        return await observe(server.url())


async def without_a_length(_authority: Authority) -> Observation:
    async with serve_script(answers(b"HTTP/1.0 200 OK\r\n\r\nhi")) as server:
        return await observe(server.url())


async def answered_early(_authority: Authority) -> Observation:
    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()
        await asyncio.sleep(0.1)

    async with serve_script(refuse) as server:
        return await observe(server.url(), method="POST", body="x" * 20_000_000)


async def silent(_authority: Authority) -> Observation:
    async with serve_script(say_nothing) as server:
        return await observe(server.url(), timeout=0.2)


async def no_handshake(_authority: Authority) -> Observation:
    async with serve_script(say_nothing, reads_head=False) as server:
        return await observe(server.url().replace("http:", "https:"), timeout=0.2)


async def plain(_authority: Authority) -> Observation:
    async with serve_script(answers_page(200), reads_head=False) as server:
        return await observe(server.url().replace("http:", "https:"))


async def nameless(_authority: Authority) -> Observation:
    return await observe("http://nowhere.invalid/")


@pytest.mark.parametrize(
    ("story", "code", "last"),
    [
        pytest.param(verified, None, Phase.TRANSFER, id="a verified answer"),
        pytest.param(untrusted, Code.TLS_CERT_UNTRUSTED, Phase.TLS, id="an unknown authority"),
        pytest.param(refused, Code.CONNECTION_REFUSED, Phase.CONNECT, id="a closed port"),
        pytest.param(was_reset, Code.CONNECTION_RESET, Phase.PROCESSING, id="a reset"),
        pytest.param(cut, Code.BAD_RESPONSE, Phase.TRANSFER, id="a body that is cut"),
        pytest.param(
            reset_in_the_body, Code.CONNECTION_RESET, Phase.TRANSFER, id="a reset in the body"
        ),
        pytest.param(without_a_length, None, Phase.TRANSFER, id="a body without a length"),
        pytest.param(answered_early, None, Phase.TRANSFER, id="an answer while we still send"),
        pytest.param(silent, Code.TIMEOUT, Phase.PROCESSING, id="silence"),
        pytest.param(no_handshake, Code.TIMEOUT, Phase.TLS, id="silence in the handshake"),
        pytest.param(plain, Code.TLS_HANDSHAKE, Phase.TLS, id="no TLS"),
        pytest.param(nameless, Code.DNS, Phase.RESOLVE, id="no such name"),
    ],
)
@pytest.mark.parametrize(
    "new_loop",
    [
        pytest.param(asyncio.new_event_loop, id="asyncio"),
        pytest.param(uvloop.new_event_loop, id="uvloop"),
    ],
)
def test_both_loops_show_the_same(
    story: Callable[[Authority], Coroutine[None, None, Observation]],
    code: Code | None,
    last: Phase,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    authority: Authority,
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        seen = runner.run(story(authority))

    assert (seen.fault.code if seen.fault else None) is code
    assert list(seen.phases)[-1] is last
    assert (seen.certificate is not None) is (story in (verified, untrusted))
