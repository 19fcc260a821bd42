"""The long-running service: it starts, waits for signals, reloads, and stops in good order."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final, Self

from yarl import URL

from monitor import garbage
from monitor.app import Monitor
from monitor.logs import Log
from monitor.systemd import Systemd, Watchdog
from monitor.web.server import WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

    from monitor.app import RunOptions
    from monitor.config import Compiled

_log = Log()

CONTROL: Final = "control.sock"
_SWITCH_SECONDS: Final = 0.0005
"""How long the event loop waits for another thread: by default ten times as long, and each time."""
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
    sys.setswitchinterval(_SWITCH_SECONDS)
    asyncio.get_running_loop().set_exception_handler(note_loop_error)
    async with AsyncExitStack() as stack:
        systemd = stack.enter_context(Systemd(environ))
        signals = stack.enter_context(_Signals())
        monitor = await Monitor.open(load, options)
        stack.push_async_callback(monitor.close, hurry=signals.hurry)
        garbage.watch_for_garbage()
        on_built(monitor)
        server = WebServer(monitor)
        stack.push_async_callback(server.close)
        await server.listen()
        if options.state:  # beside a store lives the socket of its owner, of nobody else
            control = control_path(monitor.compiled.store, environ)
            await server.open_control(control)
            await monitor.tell_control(control)
        watchdog = Watchdog(systemd, lambda: monitor.journal.progresses)
        monitor.scheduler.on_tick = watchdog.tick
        await monitor.start()
        monitor.reloads.on_begin = lambda: systemd.reloading(monotonic_ns())
        monitor.reloads.on_end = lambda _outcome: systemd.ready(_say(monitor))
        stack.enter_context(signals.reloading(monitor.reloads.ask))

        systemd.ready(_say(monitor))
        _log.info(
            "started",
            endpoints=len(monitor.watched),
            notifiers=", ".join(monitor.compiled.notifiers) or "none: nobody is told",
            store=str(monitor.compiled.store),
            page=str(URL.build(scheme="http", host=monitor.web.host, port=server.port, path="/")),
        )
        await _first(signals.stop.wait(), monitor.crashed.wait())
        systemd.stopping()
        _log.info("stopping")

    _log.info("stopped")

    return not monitor.crashed.is_set()


def note_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log on one line what nobody awaited, such as a handshake that failed as it was given up."""
    _log.warning(
        "loop_error", what=context["message"], error=repr(context.get("exception") or "no error")
    )


def control_path(store: Path, environ: Mapping[str, str]) -> Path:
    """Give where a daemon can be reached: in the runtime directory, else beside its store."""
    runtime = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]

    return Path(runtime) / CONTROL if runtime else store.with_name(CONTROL)


class _Signals:
    """What was asked for from outside: to stop, to hurry with it, to read the configuration again.

    They are heard from before the start until after the end, so that none of them ends the
    process half-way. The second signal to stop is to hurry. To reload has to wait for the start.
    """

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        self._wants_reload = False
        self._on_reload: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in _STOPPING:
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

        return self

    def __exit__(self, *_raised: object) -> None:
        for number in (*_STOPPING, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(number)

    @contextmanager
    def reloading(self, reload: Callable[[], object]) -> Iterator[None]:
        """Reload whenever that is asked for, and at once where it was before."""
        self._on_reload = reload
        if self._wants_reload:
            reload()
        try:
            yield
        finally:
            self._on_reload = None

    def _reload(self) -> None:
        self._wants_reload = True
        if self._on_reload is not None:
            self._on_reload()

    def _stop(self) -> None:
        (self.hurry if self.stop.is_set() else self.stop).set()


def _say(monitor: Monitor) -> str:
    """Say in one line how it stands since the last reload."""
    return "; ".join((*monitor.reloads.trouble, f"endpoints watched: {len(monitor.watched)}"))


async def _first(*waits: Coroutine[None, None, object]) -> None:
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
