"""What tests of the HTTP server share: a monitor that watches a shop, with its server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from monitor.web.server import WebServer
from tests.support.running import running
from tests.support.shop import open_shop
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from monitor.app import Monitor
    from tests.support.shop import Shop


@dataclass
class Served:
    """A monitor and its server, and who asks it."""

    monitor: Monitor
    server: WebServer
    shop: Shop
    session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def ask(
        self, method: str, path: str, token: str = "", **options: Any
    ) -> tuple[int, str, aiohttp.ClientResponse]:
        headers = dict(options.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        async with self.session.request(
            method, self.url + path, headers=headers, **options
        ) as answer:
            return answer.status, await answer.text(), answer


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Served]]:
    """Serve a monitor: `listen` and `web` are of the configuration's `web`, `more` its end."""

    @asynccontextmanager
    async def served(
        *, listen: str = "127.0.0.1:0", web: str = "", more: str = "", first_round: bool = True
    ) -> AsyncIterator[Served]:
        async with open_shop() as shop:
            text = (
                "defaults: {every: 1h, timeout: 5s, failure_threshold: 1}\n"
                f"web:\n  listen: '{listen}'\n  {web}\n"
                f"endpoints:\n  shop: {shop.url}/\n{more}"
            )
            async with running(tmp_path, text) as monitor:
                server = WebServer(monitor)
                try:
                    await server.listen()
                    await server.open_control(tmp_path / "control.sock")
                    if first_round:
                        await until(lambda: monitor.ready)
                    async with aiohttp.ClientSession(
                        timeout=aiohttp.ClientTimeout(total=10)
                    ) as session:
                        yield Served(monitor, server, shop, session)
                finally:
                    await server.close()

    return served
