"""Runs whatever version of the shop `current` points at, and starts it anew on SIGHUP."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


def main() -> None:
    root, port = Path(sys.argv[1]), sys.argv[2]
    stopping = False
    child: subprocess.Popen[bytes] | None = None

    def restart(_number: int, _frame: FrameType | None) -> None:
        if child is not None:
            child.terminate()

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        restart(number, frame)

    signal.signal(signal.SIGHUP, restart)
    signal.signal(signal.SIGTERM, stop)
    while not stopping:
        version = (root / "current").resolve()
        child = subprocess.Popen([sys.executable, str(version / "shop.py"), port])
        child.wait()


if __name__ == "__main__":
    main()
