"""The open connections: how many there may be, and how long one may hold its place in silence."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MOST: Final = 64
"""So many connections at once: the rest of the descriptors is for probes."""

PATIENCE: Final = timedelta(seconds=10)
"""How long a client may take to send a request, or to send the next one."""


class Connections:
    """Ends connections on which no complete request comes in time, and the idlest when it is full.

    aiohttp itself waits for ever for the head of a request, and takes as many as there are.
    """

    def __init__(self, *, most: int = MOST, patience: timedelta = PATIENCE) -> None:
        self._most = most
        self._patience = patience.total_seconds()
        self._idle: dict[asyncio.BaseTransport, asyncio.TimerHandle] = {}
        self._busy: set[asyncio.BaseTransport] = set()

    def watch(self, inner: asyncio.Protocol) -> asyncio.Protocol:
        """Give a protocol that does as `inner` and whose connection is one of these."""
        return _Watched(inner, self)

    @web.middleware
    async def mark_busy(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request that is complete take its time."""
        transport = request.transport
        if transport not in self._idle:
            return await handler(request)

        self._idle.pop(transport).cancel()
        self._busy.add(transport)
        try:
            return await handler(request)
        finally:
            if transport in self._busy:
                self._busy.remove(transport)
                self._begin_to_wait(transport)

    def opened(self, transport: asyncio.BaseTransport) -> None:
        """Take one more; where there are too many, the one that is idle for longest has to go."""
        if len(self._idle) + len(self._busy) >= self._most:
            idlest = next(iter(self._idle), transport)
            self.closed(idlest)
            _abort(idlest)
            if idlest is transport:
                return
        self._begin_to_wait(transport)

    def closed(self, transport: asyncio.BaseTransport) -> None:
        """Forget one."""
        self._busy.discard(transport)
        timer = self._idle.pop(transport, None)
        if timer is not None:
            timer.cancel()

    def _begin_to_wait(self, transport: asyncio.BaseTransport) -> None:
        loop = asyncio.get_running_loop()
        self._idle[transport] = loop.call_later(self._patience, _abort, transport)


class _Watched(asyncio.Protocol):
    """Hands everything on to another protocol, and tells of the connection's begin and end."""

    def __init__(self, inner: asyncio.Protocol, connections: Connections) -> None:
        self._connections = connections
        self._transport: asyncio.BaseTransport | None = None
        self._inner = inner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._inner.connection_made(transport)
        self._connections.opened(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._connections.closed(self._transport)
        self._inner.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


def _abort(transport: asyncio.BaseTransport) -> None:
    cast("asyncio.Transport", transport).abort()  # uvloop's are none of asyncio's classes
