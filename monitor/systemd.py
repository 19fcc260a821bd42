"""Tells systemd how the service stands, and feeds its watchdog while there is progress."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

from monitor.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_log = Log()

LATEST: Final = timedelta(seconds=2)
"""A tick that is later than this does not count as progress."""

_MEALS: Final = 6
"""How often the watchdog is fed within the time that it waits."""

_MOST_STATUS: Final = 500


class Systemd:
    """The service manager that started us, where one did (sd_notify(3)); else nobody listens."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        self._stopping = False
        self.patience = _read_patience(environ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ready(self, status: str = "") -> None:
        """Say that the start, or a reload, is over; not any more once the end has begun."""
        if not self._stopping:
            self._tell("READY=1", f"STATUS={_one_line(status)}")

    def reloading(self, monotonic_ns: int) -> None:
        """Say that the configuration is being read again, since this monotonic time."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns // 1000}")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._stopping = True
        self._tell("STOPPING=1", "STATUS=")

    def feed_watchdog(self) -> None:
        """Say that we live."""
        self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return

        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            if self._socket is None:
                self._socket = socket.socket(
                    socket.AF_UNIX,
                    socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
                )
            self._socket.sendto("\n".join(lines).encode(), os.fsencode(address))
        except OSError as error:
            _log.warning("notify_failed", error=str(error))


class Watchdog:
    """Feeds the watchdog from the ticks of the scheduler, which are the progress that it is about.

    A tick is worth it when it came in time and `progresses` says that the rest does as well. No
    timer and no thread feeds: they would go on while nothing is probed any more.
    """

    def __init__(self, systemd: Systemd, progresses: Callable[[], bool]) -> None:
        self._systemd = systemd
        self._progresses = progresses
        self._every = systemd.patience / _MEALS
        self._fed: float | None = None

    def tick(self, now: float, late: timedelta) -> None:
        """Take a tick of the scheduler, at a monotonic time, so late."""
        if not self._every or late > LATEST:
            return
        if self._fed is not None and now - self._fed < self._every.total_seconds():
            return
        if not self._progresses():
            return

        self._fed = now
        self._systemd.feed_watchdog()


def _read_patience(environ: Mapping[str, str]) -> timedelta:
    """Give how long the watchdog waits; zero where nobody watches this process."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return timedelta()
    try:
        return timedelta(microseconds=max(0, int(environ.get("WATCHDOG_USEC", "0"))))
    except (ValueError, OverflowError):
        return timedelta()


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MOST_STATUS]
