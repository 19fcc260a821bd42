"""Real monitors in this process: built from a file over a real store, as the daemon does it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.app import Monitor, RunOptions
from monitor.config import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from monitor import clock as clocks
    from monitor.config import Compiled

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Clock:
    """A wall clock that stands still until a test moves it."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def later(self, **by: float) -> None:
        self.now += timedelta(**by)

    def follow(self) -> timedelta:
        return timedelta()

    def earliest(self, lasting: timedelta) -> datetime:
        return self.now


def loader(folder: Path, **environ: str) -> Callable[[], Compiled]:
    """Give what reads `folder/monitor.yml`, again and again."""
    return lambda: load([Path("monitor.yml")], environ=environ, cwd=folder)


def write(folder: Path, text: str) -> None:
    """Change the configuration."""
    (folder / "monitor.yml").write_text(text)


async def build(
    folder: Path,
    text: str,
    *,
    clock: clocks.Clock | None = None,
    load: Callable[[], Compiled] | None = None,
    **options: Any,
) -> Monitor:
    """Open a monitor of this configuration; whoever asked closes it."""
    write(folder, text)
    holder = RunOptions(holder="a test", **options)

    return await Monitor.open(load or loader(folder), holder, clock)


@asynccontextmanager
async def running(
    folder: Path,
    text: str,
    *,
    clock: clocks.Clock | None = None,
    load: Callable[[], Compiled] | None = None,
    **options: Any,
) -> AsyncIterator[Monitor]:
    """Run a monitor of this configuration."""
    monitor = await build(folder, text, clock=clock, load=load, **options)
    try:
        await monitor.start()
        yield monitor
    finally:
        await monitor.close(timedelta())


def page_of(monitor: Monitor) -> bytes:
    """Give the page that Prometheus reads, in one piece."""
    return b"".join(monitor.metrics_parts(as_openmetrics=False))
