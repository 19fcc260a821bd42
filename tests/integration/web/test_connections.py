"""Clients that say nothing, or too slowly, or come in crowds: they cost a place for a moment."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from monitor.config.difference import Reloaded
from monitor.web import acting, server
from monitor.web.connections import Connections

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GET = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n"
SHORT = timedelta(milliseconds=300)


class Client:
    """A connection that a test holds open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, request: bytes = GET) -> bytes:
        self.writer.write(request)
        async with asyncio.timeout(5):
            head = await self.reader.readuntil(b"\r\n\r\n")
            await self.reader.readexactly(len(b"healthy\n"))
        return head

    async def ended(self) -> bool:
        """Wait for the end of the connection."""
        with suppress(ConnectionError):
            async with asyncio.timeout(5):
                while await self.reader.read(65536):
                    pass
        return True


@pytest.fixture
async def dial() -> AsyncIterator[Any]:
    clients: list[Client] = []

    async def connect(port: int) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", port))
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.writer.transport.abort()
    await asyncio.sleep(0)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "Connections", partial(Connections, patience=SHORT))
    monkeypatch.setattr(acting, "_PATIENCE", SHORT)


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HT", id="half a line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", id="half a head"),
    ],
)
async def test_who_does_not_ask_in_time_loses_the_connection(
    serve: Any, dial: Any, sent: bytes
) -> None:
    async with serve() as served:
        client = await dial(served.server.port)
        client.writer.write(sent)

        assert await client.ended()


@pytest.mark.usefixtures("_impatient")
async def test_a_head_that_drips_is_not_waited_for(serve: Any, dial: Any) -> None:
    async with serve() as served:
        client = await dial(served.server.port)

        async def drip() -> None:
            for byte in GET[:-4] * 100:
                client.writer.write(bytes([byte]))
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert await client.ended()
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


@pytest.mark.usefixtures("_impatient")
async def test_a_connection_may_be_used_again_but_not_held_idle(serve: Any, dial: Any) -> None:
    async with serve() as served:
        client = await dial(served.server.port)
        answers = [await client.ask() for _ in range(3)]

        assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
        assert await client.ended()


@pytest.mark.usefixtures("_impatient")
async def test_a_body_that_does_not_come_is_not_waited_for(serve: Any, dial: Any) -> None:
    web = "tokens: [{name: ci, scope: deploy, token: deploy-token-1}]"
    async with serve(web=web) as served:
        client = await dial(served.server.port)
        client.writer.write(
            b"POST /api/v1/deploys HTTP/1.1\r\nHost: localhost\r\n"
            b"Authorization: Bearer deploy-token-1\r\n"
            b'Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"ser'
        )
        async with asyncio.timeout(5):
            head = await client.reader.readuntil(b"\r\n\r\n")

        assert head.startswith(b"HTTP/1.1 408")


async def test_an_answer_that_takes_longer_keeps_its_connection(
    serve: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "Connections", partial(Connections, patience=SHORT / 3))
    async with serve(web="tokens: [{name: us, scope: operate, token: operate-token-1}]") as served:

        async def slow() -> Reloaded:
            await asyncio.sleep(0.5)
            return Reloaded()

        monkeypatch.setattr(served.monitor, "reload", slow)
        status, _, _ = await served.ask("POST", "/-/reload", "operate-token-1")

        assert status == 200


async def test_a_crowd_that_is_idle_makes_room_for_who_asks(
    serve: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "Connections", partial(Connections, most=5))
    async with serve() as served:
        crowd = [await dial(served.server.port) for _ in range(30)]
        answer = await (await dial(served.server.port)).ask()

        assert answer.startswith(b"HTTP/1.1 200")
        assert all([await one.ended() for one in crowd[:25]])


async def test_a_crowd_that_is_served_leaves_no_room(
    serve: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "Connections", partial(Connections, most=2))
    go_on = asyncio.Event()
    entered = asyncio.Semaphore(0)
    async with serve(web="tokens: [{name: us, scope: operate, token: operate-token-1}]") as served:

        async def slow() -> Reloaded:
            entered.release()
            await go_on.wait()
            return Reloaded()

        monkeypatch.setattr(served.monitor, "reload", slow)
        asking = [
            asyncio.create_task(served.ask("POST", "/-/reload", "operate-token-1"))
            for _ in range(2)
        ]
        await entered.acquire()
        await entered.acquire()
        late = await dial(served.server.port)
        assert await late.ended()
        go_on.set()

        assert [(await one)[0] for one in asking] == [200, 200]


async def test_a_client_that_leaves_during_its_request_is_forgotten(
    serve: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "Connections", partial(Connections, most=1))
    entered, go_on = asyncio.Event(), asyncio.Event()
    async with serve(web="tokens: [{name: us, scope: operate, token: operate-token-1}]") as served:

        async def slow() -> Reloaded:
            entered.set()
            await go_on.wait()
            return Reloaded()

        monkeypatch.setattr(served.monitor, "reload", slow)
        client = await dial(served.server.port)
        client.writer.write(
            b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\n"
            b"Authorization: Bearer operate-token-1\r\nContent-Length: 0\r\n\r\n"
        )
        await entered.wait()
        client.writer.transport.abort()
        await asyncio.sleep(0.05)
        go_on.set()
        await asyncio.sleep(0.05)

        assert (await (await dial(served.server.port)).ask()).startswith(b"HTTP/1.1 200")


async def test_many_requests_in_a_row_on_one_connection_are_answered_in_order(
    serve: Any, dial: Any
) -> None:
    async with serve() as served:
        client = await dial(served.server.port)
        client.writer.write(GET * 300)
        async with asyncio.timeout(10):
            for _ in range(300):
                head = await client.reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200")
                await client.reader.readexactly(len(b"healthy\n"))


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"NONSENSE\r\n\r\n",
        b"\r\n" * 9000,
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\x01\x1b[31m HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_and_neither_harms_nor_fills_the_log(
    serve: Any, dial: Any, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as served:
        client = await dial(served.server.port)
        client.writer.write(sent + b"\r\n\r\n")
        client.writer.write_eof()
        await client.ended()

        assert (await (await dial(served.server.port)).ask()).startswith(b"HTTP/1.1 200")
    assert [one.message for one in caplog.records if one.levelname == "ERROR"] == []
