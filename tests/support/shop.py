"""A shop on loopback whose health, version and speed a test changes while it is watched."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator


@dataclass
class Shop:
    """What the shop answers now, and how often it was asked.

    `statuses` and `delays` are of paths that differ; `times` is when each path was asked, by the
    clock of the event loop.
    """

    port: int = 0
    status: int = 200
    version: str = "1.0"
    database: str = "connected"
    delay: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    delays: dict[str, float] = field(default_factory=dict)
    times: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        self.times[request.path].append(asyncio.get_running_loop().time())
        delay = self.delays.get(request.path, self.delay)
        if delay:
            await asyncio.sleep(delay)

        return web.json_response(
            {"version": self.version, "database": {"status": self.database}},
            status=self.statuses.get(request.path, self.status),
            headers=self.headers,
        )


@asynccontextmanager
async def open_shop(sock: socket.socket | None = None) -> AsyncIterator[Shop]:
    """Serve a shop at every path; on a socket of its own where it is to be in another network."""
    shop = Shop()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", shop.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    site = web.SockSite(runner, sock) if sock else web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    shop.port = runner.addresses[0][1]
    try:
        yield shop
    finally:
        await runner.cleanup()
