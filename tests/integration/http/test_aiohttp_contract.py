"""What we use of aiohttp and asyncio below their public surface; a new version must keep it."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.client_proto import ResponseHandler

from monitor.probes._http.connector import Connector
from monitor.probes._net.resolver import Resolver
from monitor.probes._net.tls import TlsTerms, client_context, handshakes
from tests.support.servers import answers_page, hang_up, page, serve_pages, serve_script

if TYPE_CHECKING:
    import ssl

    from tests.support.authority import Authority


def parameters(function: object) -> list[str]:
    assert callable(function)
    return list(inspect.signature(function).parameters)


async def test_a_connector_makes_connections_in_the_method_that_we_replace() -> None:
    theirs = aiohttp.BaseConnector._create_connection
    ours = Connector._create_connection

    assert inspect.iscoroutinefunction(theirs)
    assert parameters(theirs) == parameters(ours) == ["self", "req", "traces", "timeout"]


async def test_a_connector_has_the_loop_and_hears_answers_as_we_do() -> None:
    connector = Connector(Resolver())
    try:
        protocol = connector._answer()

        assert connector._loop is asyncio.get_running_loop()
        assert isinstance(protocol, ResponseHandler)
        assert protocol.exception() is None
        assert parameters(ResponseHandler.feed_data) == parameters(type(protocol).feed_data)
    finally:
        await connector.close()


async def test_a_session_sends_twice_unless_it_is_told_not_to() -> None:
    async with serve_script(hang_up) as server, aiohttp.ClientSession() as session:
        for retry, connections in ((True, 2), (False, 1)):
            session._retry_connection = retry
            before = server.connections
            with suppress(aiohttp.ServerDisconnectedError):
                await session.get(server.url())
            assert server.connections - before == connections


async def test_what_is_skipped_is_not_sent_and_host_and_connection_are() -> None:
    names = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
    async with (
        serve_script(answers_page()) as server,
        aiohttp.ClientSession(
            skip_auto_headers=names, connector=aiohttp.TCPConnector(force_close=True)
        ) as session,
        session.post(server.url(), data=b"hi"),
    ):
        pass

    sent = {line.partition(b":")[0] for line in server.heads[0].split(b"\r\n")[1:] if line}
    assert sent == {b"Host", b"Content-Length", b"Connection"}


async def test_a_context_is_asked_to_wrap_through_memory_and_shows_the_chain(
    authority: Authority,
) -> None:
    made: list[ssl.SSLObject] = []
    async with serve_pages({"/": page()}, tls=authority.context()) as server:
        token = handshakes.set(made)
        try:
            _, writer = await asyncio.open_connection(
                "127.0.0.1", server.port, ssl=client_context(TlsTerms(verify=False))
            )
        finally:
            handshakes.reset(token)
        writer.close()
        await writer.wait_closed()

    assert len(made) == 1
    inner = getattr(made[0], "_sslobj", None)
    assert hasattr(made[0], "get_unverified_chain") or hasattr(inner, "get_unverified_chain")
