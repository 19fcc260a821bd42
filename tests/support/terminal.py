"""The installed program on a terminal: a pseudo-terminal of a chosen width, and what it shows."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Seen:
    """What a command wrote on its terminal, and its exit code."""

    code: int
    raw: str

    @property
    def text(self) -> str:
        """What is left without colors and movements of the cursor."""
        return _CONTROL.sub("", self.raw)


async def run_on_terminal(
    *args: str, cwd: Path, columns: int = 80, environ: Mapping[str, str] | None = None
) -> Seen:
    """Run the program to its end with all its output on a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "STATE_DIRECTORY")
    }
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "monitor",
            *args,
            cwd=cwd,
            env={**kept, "TERM": "xterm-256color", **(environ or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        reading = asyncio.create_task(asyncio.to_thread(_read_all, ours))
        async with asyncio.timeout(60):
            code = await process.wait()
            raw = await reading
    finally:
        os.close(ours)

    return Seen(code, raw.decode().replace("\r\n", "\n"))


def _read_all(descriptor: int) -> bytes:
    parts = []
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # the other side has closed
            break
        if not part:
            break
        parts.append(part)

    return b"".join(parts)
