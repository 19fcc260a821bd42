"""The long-running service: it starts, waits for signals, reloads, and stops in good order."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from monitor.app import Monitor
from monitor.web.server import WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from monitor.app import RunOptions
    from monitor.config import Compiled

_log = structlog.get_logger()

CONTROL: Final = "control.sock"
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


async def run_daemon(
    load: Callable[[], Compiled],
    options: RunOptions,
    *,
    environ: Mapping[str, str],
    on_built: Callable[[Monitor], None] = lambda _monitor: None,
) -> bool:
    """Watch until told to stop; give whether it ended in good order.

    False means that a part of the monitor itself broke: whoever started it should start it anew.
    Raises ConfigError, StoreError or ListenError before anything is watched.
    """
    monitor = await Monitor.open(load, options)
    server = WebServer(monitor, monitor.compiled.web)
    reloads = _Reloads(monitor)
    stop = asyncio.Event()
    notify = _Notify(environ)
    loop = asyncio.get_running_loop()
    try:
        on_built(monitor)
        await server.listen()
        await server.open_control(control_path(monitor.compiled.store, environ))
        for number in _STOPPING:
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, reloads.ask)
        await monitor.start()
        notify.tell("READY=1")
        _log.info("started", endpoints=len(monitor.watched), store=str(monitor.compiled.store))
        await _first(stop.wait(), monitor.crashed.wait())
        notify.tell("STOPPING=1")
        _log.info("stopping")
    finally:
        for number in (*_STOPPING, signal.SIGHUP):
            loop.remove_signal_handler(number)
        await reloads.close()
        await server.close()
        await monitor.close()

    _log.info("stopped")

    return not monitor.crashed.is_set()


def control_path(store: Path, environ: Mapping[str, str]) -> Path:
    """Give where a daemon can be reached: in the runtime directory, else beside its store."""
    runtime = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]

    return Path(runtime) / CONTROL if runtime else store.with_name(CONTROL)


class _Reloads:
    """Reloads on SIGHUP, one at a time; signals that come meanwhile lead to one more."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._asked = False
        self._task: asyncio.Task[None] | None = None

    def ask(self) -> None:
        self._asked = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="reload")

    async def close(self) -> None:
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while self._asked:
            self._asked = False
            await self._monitor.reload()


class _Notify:
    """Tells systemd how it stands, where systemd asked for it (sd_notify(3))."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")

    def tell(self, state: str) -> None:
        if not self._address:
            return

        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
                to.sendto(os.fsencode(state), address)
        except OSError as error:
            _log.warning("notify_failed", error=str(error))


async def _first(*waits: Coroutine[None, None, object]) -> None:
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
