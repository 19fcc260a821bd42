"""One Chromium for all who look with it: begun when needed, renewed, and gone in the end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from monitor.logs import Log
from monitor.options import format_duration
from monitor.probes._browser.process import Gone, Process, Unready
from monitor.runner.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from datetime import timedelta

    from playwright.async_api import BrowserContext, Page

    from monitor.probes._browser.options import BrowserOptions

AT_ONCE: Final = 4
"""How many pages are open at once; others wait for a place."""

_MOST_PAGES: Final = 200  # a browser only grows
_BELIEVED: Final = 5.0
_log = Log()
_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Chromium]] = WeakKeyDictionary()
_starts: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """A page of its own, without any past, and where it is open."""

    context: BrowserContext
    page: Page
    process: Process


class Chromium:
    """Opens pages for those who joined; where the last has left, its process ends."""

    def __init__(self, program: str) -> None:
        self.users = 0
        self._program = program
        self._places = asyncio.Semaphore(AT_ONCE)
        self._guard = Guard()
        self._process: Process | None = None
        self._starting: asyncio.Task[Process] | None = None
        self._failed: tuple[float, str] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    def join(cls, program: str) -> Chromium:
        """Give the one that all probes of this event loop share."""
        of_loop = _shared.setdefault(asyncio.get_running_loop(), {})
        chromium = of_loop.setdefault(program, cls(program))
        chromium.users += 1

        return chromium

    async def leave(self) -> None:
        """Let go of it; the last one who does ends it."""
        self.users -= 1
        if self.users:
            return

        _shared[asyncio.get_running_loop()].pop(self._program, None)
        if self._starting is not None:
            await asyncio.wait([self._starting])
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._process is not None:
            await self._end(self._process)
        self._guard.close()

    async def open(self, options: BrowserOptions, patience: timedelta) -> Tab:
        """Open a page once a place is free; raises Unready."""
        try:
            async with asyncio.timeout(patience.total_seconds()):
                await self._places.acquire()
        except TimeoutError:
            raise Unready(
                f"{AT_ONCE} pages are open at once, and none of them was done within "
                f"{format_duration(patience)}"
            ) from None

        try:
            try:
                process = await self._provide()
                context, page = await process.open(options)
            except Gone:
                process = await self._provide()
                context, page = await process.open(options)
        except BaseException:
            self._places.release()
            raise

        return Tab(context=context, page=page, process=process)

    def release(self, tab: Tab) -> None:
        """Close a page, for which nobody has to wait; its place is free once it is gone."""
        self._spawn(self._close(tab))

    async def _close(self, tab: Tab) -> None:
        try:
            await tab.process.close(tab.context)
            if tab.process is not self._process and not tab.process.open_pages:
                await self._end(tab.process)
        finally:
            self._places.release()

    async def _provide(self) -> Process:
        """Give the process that runs, or a new one in its place."""
        process = self._process
        if process is not None and process.alive and process.pages < _MOST_PAGES:
            return process

        if process is not None:
            self._process = None
            if not process.open_pages:
                self._spawn(self._end(process))
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())

        return await asyncio.shield(self._starting)

    async def _start(self) -> Process:
        now = asyncio.get_running_loop().time
        try:
            if self._failed is not None and now() - self._failed[0] < _BELIEVED:
                raise Unready(self._failed[1])
            self._failed = None
            async with _starts.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
                self._process = await Process.start(self._program, self._guard.mark)
            self._guard.watch(self._process.group)
            return self._process
        except Unready as error:
            self._failed = self._failed or (now(), str(error))
            raise
        finally:
            self._starting = None

    async def _end(self, process: Process) -> None:
        if process is self._process:
            self._process = None
        await process.end()
        self._guard.forget(process.group)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.warning("browser_not_closed", error=f"{type(error).__name__}: {error}")
