"""Control groups of a test's own: how much memory or CPU whoever is in there may take."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_ROOT: Final = Path("/sys/fs/cgroup")


class ControlGroup:
    """One group of a controller (version 1)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def enter(self) -> tuple[str, ...]:
        """What is put before a command that shall run in here, with all that it starts."""
        return ("sh", "-c", f'echo $$ > {self._path}/cgroup.procs && exec "$@"', "sh")

    def limit(self, **limits: int) -> None:
        """Set limits: `memory_limit_in_bytes` is the file `memory.limit_in_bytes`."""
        for name, value in limits.items():
            (self._path / name.replace("_", ".", 1)).write_text(str(value))

    def read(self, name: str) -> str:
        """Read what the kernel says."""
        return (self._path / name).read_text()

    def take(self, pid: int) -> None:
        """Let a process that runs already be in here."""
        (self._path / "cgroup.procs").write_text(str(pid))


@asynccontextmanager
async def open_control_group(controller: str) -> AsyncIterator[ControlGroup]:
    """Make a group; it is removed once nobody is in it any more."""
    if os.geteuid() != 0 or not (_ROOT / controller / "cgroup.procs").exists():
        pytest.skip(f"needs root, and the {controller} controller of cgroup version 1")
    path = _ROOT / controller / f"production-monitor-test-{uuid4().hex[:8]}"
    path.mkdir()
    try:
        yield ControlGroup(path)
    finally:
        async with asyncio.timeout(10):
            while (path / "cgroup.procs").read_text():
                await asyncio.sleep(0.05)
        path.rmdir()
