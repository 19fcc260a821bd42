"""What runs in the background: it ends with the monitor, tells if it breaks, and is drained."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from monitor.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_log = Log()


class Background:
    """Owns the work that goes on for as long as the monitor does."""

    def __init__(self) -> None:
        self.crashed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def own(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something that ends with the monitor; log it if it breaks."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._note_crash)
        self._tasks.append(task)

    async def stop(self) -> None:
        """End all of it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _note_crash(self, task: asyncio.Task[None]) -> None:
        """Let the whole process end rather than go on without one of its parts."""
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task_crashed", task=task.get_name(), exc_info=error)
            self.crashed.set()


async def drain(
    stop: Callable[[timedelta], Coroutine[Any, Any, None]], grace: timedelta, hurry: asyncio.Event
) -> None:
    """Stop a part of the monitor: within the grace, or at once when there is a hurry."""
    patient = asyncio.create_task(stop(grace))
    hurried = asyncio.create_task(hurry.wait())
    try:
        await asyncio.wait((patient, hurried), return_when=asyncio.FIRST_COMPLETED)
    finally:
        hurried.cancel()
        if not patient.done():
            patient.cancel()
    if hurry.is_set():
        await asyncio.gather(patient, return_exceptions=True)
        await stop(timedelta())
    else:
        patient.result()
