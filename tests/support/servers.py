"""Counterparts on loopback: servers that follow a script byte by byte, and real aiohttp ones."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    Page = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOST = "127.0.0.1"


@dataclass
class Counterpart:
    """A server that runs, and what reached it: connections, and the heads of requests as bytes."""

    port: int = 0
    scheme: str = "http"
    connections: int = 0
    heads: list[bytes] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{HOST}:{self.port}"

    def url(self, path: str = "/", *, host: str = HOST) -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"


@asynccontextmanager
async def serve_script(
    script: Script, *, tls: ssl.SSLContext | None = None, reads_head: bool = True
) -> AsyncIterator[Counterpart]:
    """Run a script for each connection, by default once the head of a request has come.

    The connection is closed when the script ends.
    """
    counterpart = Counterpart(scheme="https" if tls else "http")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        counterpart.connections += 1
        if reads_head:
            counterpart.heads.append(await reader.readuntil(b"\r\n\r\n"))
        await script(reader, writer)
        await writer.drain()

    async with accept(handle, tls=tls) as port:
        counterpart.port = port
        yield counterpart


@asynccontextmanager
async def accept(handle: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Take connections at the port given, each closed when `handle` is done with it.

    At the end, what still runs is cancelled and what is still open is cut.
    """
    running: set[asyncio.Task[None]] = set()
    transports: set[asyncio.WriteTransport] = set()

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transports.add(writer.transport)
        with suppress(OSError, asyncio.IncompleteReadError):
            await handle(reader, writer)
        writer.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(attend(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    server = await asyncio.start_server(begin, HOST, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for transport in transports:
            transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)


@asynccontextmanager
async def serve_pages(
    pages: Mapping[str, Page], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Counterpart]:
    """Run a real aiohttp server with a coroutine for each path, whatever the method."""
    counterpart = Counterpart(scheme="https" if tls else "http")

    @web.middleware
    async def count(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        counterpart.connections += 1
        return await handler(request)

    app = web.Application(middlewares=[count])
    for path, page in pages.items():
        app.router.add_route("*", path, page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0, ssl_context=tls)
    await site.start()
    counterpart.port = runner.addresses[0][1]
    try:
        yield counterpart
    finally:
        await runner.cleanup()


def answers(raw: bytes) -> Script:
    """Answer with exactly these bytes, then close."""

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)

    return script


def answers_page(status: int = 200, body: bytes = b"", *headers: tuple[str, str]) -> Script:
    """Answer with a status, header lines and a body of declared length."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n{lines}\r\n"

    return answers(head.encode() + body)


def page(body: bytes = b"", *, status: int = 200, headers: Mapping[str, str] | None = None) -> Page:
    """Make a page of the aiohttp server that always says the same."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers=dict(headers or {}))

    return answer


def redirect(location: str, *, status: int = 302, cookie: str = "") -> Page:
    """Make a page that redirects."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        headers = {"Location": location}
        if cookie:
            headers["Set-Cookie"] = cookie
        return web.Response(status=status, headers=headers)

    return answer


async def say_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Hold the connection until the other side ends it."""
    while await reader.read(65536):
        pass


async def hang_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Close at once."""


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection with a RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextmanager
def serve_handshakes(tls: ssl.SSLContext) -> Iterator[Counterpart]:
    """Shake hands on a thread, connection by connection, then answer an empty page.

    Unlike asyncio's server, which hangs up on a handshake that failed, this one says why.
    """
    counterpart = Counterpart(scheme="https")
    listener = socket.create_server((HOST, 0))
    counterpart.port = listener.getsockname()[1]

    def work() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            counterpart.connections += 1
            plain.settimeout(5)
            with plain, suppress(OSError), tls.wrap_socket(plain, server_side=True) as secured:
                secured.recv(65536)
                secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=work, name="handshakes")
    thread.start()
    try:
        yield counterpart
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def unused_port() -> int:
    """Give a port on which nothing listens."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])
