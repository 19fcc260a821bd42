"""Debian's Alertmanager on loopback, alone or in a cluster, with a webhook that it tells."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.support.servers import unused_port
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


@dataclass(kw_only=True)
class Alertmanager:
    """One member: what it has, and its process, which a test may stop and start."""

    folder: Path
    receiver: str
    port: int = field(default_factory=unused_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        config = self.folder / "alertmanager.yml"
        config.write_text(
            "route: {receiver: us, group_wait: 0s, group_interval: 1s, repeat_interval: 1h,"
            " group_by: ['...']}\n"
            f"receivers: [{{name: us, webhook_configs: [{{url: '{self.receiver}'}}]}}]\n"
        )
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                "prometheus-alertmanager",
                f"--config.file={config}",
                f"--storage.path={self.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--cluster.listen-address=",
                stdout=log,
                stderr=log,
            )
        await self._wait_until_ready()

    async def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            await self.process.wait()
            self.process = None

    async def alerts(self) -> list[dict[str, Any]]:
        """Give the alerts that fire now."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/api/v2/alerts") as answer,
        ):
            return list(await answer.json())

    async def wait_for(self, wanted: Callable[[list[dict[str, Any]]], object]) -> None:
        """Return once what fires is as wanted."""
        async with asyncio.timeout(PATIENCE):
            while not wanted(await self.alerts()):
                await asyncio.sleep(0.05)

    async def _wait_until_ready(self) -> None:
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{self.url}/-/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)


@asynccontextmanager
async def serve_alertmanager(folder: Path, receiver: str) -> AsyncIterator[Alertmanager]:
    """Run one, which tells a webhook at once of what it has."""
    member = Alertmanager(folder=folder, receiver=receiver)
    await member.start()
    try:
        yield member
    finally:
        await member.stop()
