"""A receiver of webhooks on loopback: it records what comes and behaves as it is told to."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOST = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request as it came; header names in lower case."""

    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """What came so far, and how the next requests are answered: one behaviour each, then `then`."""

    def __init__(self, behaviours: tuple[Behaviour, ...], then: Behaviour) -> None:
        self.received: list[Received] = []
        self.next: deque[Behaviour] = deque(behaviours)
        self.then = then
        self.port = 0
        self._came = asyncio.Condition()

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.port}"

    def url(self, path: str = "/hook") -> str:
        return f"{self.origin}{path}"

    async def wait_for(self, count: int, *, within: float = 25) -> list[Received]:
        """Return once so many requests have come."""
        async with asyncio.timeout(within), self._came:
            await self._came.wait_for(lambda: len(self.received) >= count)

        return self.received

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Record a request, then behave."""
        body = await request.read()
        self.received.append(
            Received(
                at=asyncio.get_running_loop().time(),
                method=request.method,
                path=request.path_qs,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=body,
            )
        )
        async with self._came:
            self._came.notify_all()
        behave = self.next.popleft() if self.next else self.then

        return await behave(request)


@asynccontextmanager
async def serve_receiver(
    *behaviours: Behaviour, then: Behaviour | None = None, sock: socket.socket | None = None
) -> AsyncIterator[Receiver]:
    """Run a receiver; after the given behaviours it answers `then`, by default 200 `ok`."""
    receiver = Receiver(behaviours, then or answers())
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    async with serve_app(app, sock=sock) as port:
        receiver.port = port
        yield receiver


@asynccontextmanager
async def serve_app(
    app: web.Application,
    *,
    tls: ssl.SSLContext | None = None,
    sock: socket.socket | None = None,
) -> AsyncIterator[int]:
    """Run an application on loopback and give its port; running requests end with it.

    A socket of its own may be in another network.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    try:
        site = web.SockSite(runner, sock) if sock else web.TCPSite(runner, HOST, 0, ssl_context=tls)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def answers(status: int = 200, text: str = "ok", **headers: str) -> Behaviour:
    """Answer at once; `retry_after="30"` is the header Retry-After."""

    async def behave(_request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        return web.Response(status=status, text=text, headers=named)

    return behave


def redirects(location: str, status: int = 302) -> Behaviour:
    """Send it elsewhere."""
    return answers(status, "", location=location)


def after(seconds: float, behaviour: Behaviour) -> Behaviour:
    """Behave so, but late."""

    async def behave(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await behaviour(request)

    return behave


def hangs() -> Behaviour:
    """Never answer."""

    async def behave(_request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    return behave


def drops() -> Behaviour:
    """Read the request, then end the connection without a word."""

    async def behave(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return behave


def drips(every: float = 0.05, status: int = 200) -> Behaviour:
    """Answer one byte at a time, for ever."""

    async def behave(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b"o")
                await asyncio.sleep(every)
        return response

    return behave


def floods(status: int = 200) -> Behaviour:
    """Answer without end, as fast as it is read."""

    async def behave(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b"o" * 65536)
        return response

    return behave
