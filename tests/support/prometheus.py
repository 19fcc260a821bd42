"""A real Prometheus of Debian, on loopback, with a configuration of the test's own."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.support.servers import unused_port
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Prometheus:
    """A server that runs."""

    url: str
    session: aiohttp.ClientSession

    async def __call__(self, query: str) -> list[dict[str, Any]]:
        """Ask until there is something to be known."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    async with self.session.get(
                        f"{self.url}/api/v1/query", params={"query": query}
                    ) as answer:
                        found = (await answer.json())["data"]["result"]
                except (aiohttp.ClientError, KeyError):
                    found = []
                if found:
                    return list(found)
                await asyncio.sleep(0.1)


@asynccontextmanager
async def serve_prometheus(folder: Path, config: str) -> AsyncIterator[Prometheus]:
    """Run a Prometheus with this configuration."""
    (folder / "prometheus.yml").write_text(config)
    port = unused_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=log,
            stderr=log,
        )
    async with aiohttp.ClientSession() as session:
        try:
            yield Prometheus(url=f"http://127.0.0.1:{port}", session=session)
        finally:
            process.terminate()
            await process.wait()
