"""Runs whatever version of the shop `current` points at, and starts it anew on SIGHUP."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


def main() -> None:
    root, port = Path(sys.argv[1]), sys.argv[2]
    stopping = Event()
    child: subprocess.Popen[bytes] | None = None

    def restart(_number: int, _frame: FrameType | None) -> None:
        if child is not None:
            child.terminate()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()
        restart(number, frame)

    signal.signal(signal.SIGHUP, restart)
    signal.signal(signal.SIGTERM, stop)
    while not stopping.is_set():
        version = (root / "current").resolve()
        child = subprocess.Popen([sys.executable, str(version / "shop.py"), port])
        if stopping.is_set():  # it was told while the child was being started
            child.terminate()
        child.wait()


if __name__ == "__main__":
    main()
