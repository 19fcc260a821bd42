"""systemd as a service that it watches knows it: a socket, at which the watchdog is fed."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta
    from pathlib import Path


class Watchdog:
    """What a service is told in its environment, and what was heard of it."""

    def __init__(self, path: Path, patience: timedelta, listening: socket.socket) -> None:
        self.environ = {
            "NOTIFY_SOCKET": str(path),
            "WATCHDOG_USEC": str(round(patience.total_seconds() * 1_000_000)),
        }
        self._listening = listening

    def meals(self) -> int:
        """Count how often it was fed since the last look."""
        count = 0
        while True:
            try:
                count += self._listening.recv(1000) == b"WATCHDOG=1"
            except BlockingIOError:
                return count


@contextmanager
def open_watchdog(folder: Path, patience: timedelta) -> Iterator[Watchdog]:
    """Listen in a folder; a service feeds several times within that patience."""
    path = folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.setblocking(False)
        yield Watchdog(path, patience, listening)
