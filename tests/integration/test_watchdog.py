"""What the watchdog of a running daemon is fed by: probes that are due, and a store that moves."""

from __future__ import annotations

import asyncio
import signal
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
from tests.support.watchdog import Watchdog, open_watchdog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from monitor.app import Monitor
    from monitor.core.model.changes import Changes


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[Watchdog]:
    with open_watchdog(tmp_path, timedelta(milliseconds=300)) as watchdog:
        yield watchdog


@asynccontextmanager
async def daemon(folder: Path, heard: Watchdog) -> AsyncIterator[Monitor]:
    """Run a daemon whose targets refuse, so that each second changes something."""
    write(
        folder,
        f"web: {{listen: '127.0.0.1:{unused_port()}'}}\n"
        "defaults: {every: 100ms, timeout: 90ms, retry_every: 100ms, failure_threshold: 1000}\n"
        f"endpoints: {{shop: 'http://127.0.0.1:{unused_port()}/'}}\n",
    )
    built: list[Monitor] = []
    task = asyncio.create_task(
        run_daemon(
            loader(folder),
            RunOptions(holder="a test"),
            environ=heard.environ,
            on_built=built.append,
        )
    )
    await until(lambda: task.done() or (built and built[0].ready))
    if task.done():
        await task
    yield built[0]
    signal.raise_signal(signal.SIGTERM)
    assert await task is True


async def until_fed(heard: Watchdog, times: int = 3) -> None:
    fed = 0
    async with asyncio.timeout(15):
        while fed < times:
            await asyncio.sleep(0.02)
            fed += heard.meals()


async def test_a_daemon_that_works_feeds_it(heard: Watchdog, tmp_path: Path) -> None:
    async with daemon(tmp_path, heard):
        await until_fed(heard)


async def test_a_commit_that_hangs_starves_it_until_it_moves_again(
    heard: Watchdog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    async with daemon(tmp_path, heard):
        await until_fed(heard)
        free.clear()
        monkeypatch.setattr(journal, "STUCK", timedelta())
        await asyncio.wait_for(hangs.wait(), 15)
        await asyncio.sleep(0.1)
        heard.meals()
        await asyncio.sleep(0.5)
        starved = heard.meals()
        free.set()
        await until_fed(heard)

    assert starved == 0


async def test_a_loop_that_stands_still_starves_it(heard: Watchdog, tmp_path: Path) -> None:
    async with daemon(tmp_path, heard):
        await until_fed(heard)
        heard.meals()
        time.sleep(0.5)
        starved = heard.meals()
        await until_fed(heard)

    assert starved == 0
