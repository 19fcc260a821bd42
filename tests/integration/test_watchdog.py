"""What the watchdog of a running daemon is fed by: probes that are due, and a store that moves."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.app import RunOptions
from monitor.daemon import run_daemon
from monitor.store import Store, journal
from tests.support.running import loader, write
from tests.support.servers import unused_port
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from monitor.app import Monitor
    from monitor.core.model.changes import Changes

PATIENCE = 300_000
"""Of the watchdog, in microseconds: it is fed each 50 ms."""


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def meals(heard: socket.socket) -> int:
    """Count how often the watchdog was fed since the last look."""
    count = 0
    while True:
        try:
            count += heard.recv(1000) == b"WATCHDOG=1"
        except BlockingIOError:
            return count


@asynccontextmanager
async def daemon(folder: Path) -> AsyncIterator[Monitor]:
    """Run a daemon whose targets refuse, so that each second changes something."""
    write(
        folder,
        f"web: {{listen: '127.0.0.1:{unused_port()}'}}\n"
        "defaults: {every: 100ms, timeout: 90ms, retry_every: 100ms, failure_threshold: 1000}\n"
        f"endpoints: {{shop: 'http://127.0.0.1:{unused_port()}/'}}\n",
    )
    built: list[Monitor] = []
    environ = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": str(PATIENCE)}
    task = asyncio.create_task(
        run_daemon(
            loader(folder), RunOptions(holder="a test"), environ=environ, on_built=built.append
        )
    )
    await until(lambda: task.done() or (built and built[0].ready))
    if task.done():
        await task
    yield built[0]
    signal.raise_signal(signal.SIGTERM)
    assert await task is True


async def until_fed(heard: socket.socket, times: int = 3) -> None:
    fed = 0
    async with asyncio.timeout(15):
        while fed < times:
            await asyncio.sleep(0.02)
            fed += meals(heard)


async def test_a_daemon_that_works_feeds_it(heard: socket.socket, tmp_path: Path) -> None:
    async with daemon(tmp_path):
        await until_fed(heard)


async def test_a_commit_that_hangs_starves_it_until_it_moves_again(
    heard: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, hangs = asyncio.Event(), asyncio.Event()
    commit = Store.commit

    async def hang(store: Store, changes: Changes) -> None:
        if not free.is_set():
            hangs.set()
        await free.wait()
        await commit(store, changes)

    free.set()
    monkeypatch.setattr(Store, "commit", hang)
    async with daemon(tmp_path):
        await until_fed(heard)
        free.clear()
        monkeypatch.setattr(journal, "STUCK", timedelta())
        await asyncio.wait_for(hangs.wait(), 15)
        await asyncio.sleep(0.1)
        meals(heard)
        await asyncio.sleep(0.5)
        starved = meals(heard)
        free.set()
        await until_fed(heard)

    assert starved == 0


async def test_a_loop_that_stands_still_starves_it(heard: socket.socket, tmp_path: Path) -> None:
    async with daemon(tmp_path):
        await until_fed(heard)
        meals(heard)
        time.sleep(0.5)
        starved = meals(heard)
        await until_fed(heard)

    assert starved == 0
