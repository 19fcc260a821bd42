"""Control groups of a test's own: how much memory or CPU whoever is in there may take.

Of the two versions of the kernel's interface, the first was tried on a machine that has it; the
second, which Debian starts with, is written after the kernel's documentation.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_ROOT: Final = Path("/sys/fs/cgroup")
_PERIOD: Final = 100_000
"""In which a share of the CPU is counted, in microseconds: what the kernel does by itself."""


class _Interface(Protocol):
    """How a version of the kernel's interface names its limits and counts, in a group's folder."""

    def limit_memory(self, size: int) -> tuple[str, str]: ...
    def limit_cpu(self, quota: int | None) -> tuple[str, str]: ...

    most_memory: str
    kills: str


class _First:
    most_memory = "memory.max_usage_in_bytes"
    kills = "memory.oom_control"

    def limit_memory(self, size: int) -> tuple[str, str]:
        return "memory.limit_in_bytes", str(size)

    def limit_cpu(self, quota: int | None) -> tuple[str, str]:
        return "cpu.cfs_quota_us", str(-1 if quota is None else quota)


class _Second:
    most_memory = "memory.peak"  # since Linux 5.19
    kills = "memory.events"

    def limit_memory(self, size: int) -> tuple[str, str]:
        return "memory.max", str(size)

    def limit_cpu(self, quota: int | None) -> tuple[str, str]:
        return "cpu.max", f"{'max' if quota is None else quota} {_PERIOD}"


class ControlGroup:
    """One group of a controller."""

    def __init__(self, path: Path, interface: _Interface) -> None:
        self._path = path
        self._interface = interface

    @property
    def enter(self) -> tuple[str, ...]:
        """What is put before a command that shall run in here, with all that it starts."""
        return ("sh", "-c", f'echo $$ > {self._path}/cgroup.procs && exec "$@"', "sh")

    def take(self, pid: int) -> None:
        """Let a process that runs already be in here."""
        (self._path / "cgroup.procs").write_text(str(pid))

    def limit_memory(self, size: int) -> None:
        """Let all in here take so many bytes together."""
        self._set(*self._interface.limit_memory(size))

    def limit_cpu(self, share: float | None) -> None:
        """Let all in here take so much of one CPU together; None for all that there is."""
        quota = None if share is None else round(share * _PERIOD)
        self._set(*self._interface.limit_cpu(quota))

    @property
    def most_memory(self) -> int:
        """How many bytes it was at most."""
        return int(self._read(self._interface.most_memory))

    @property
    def killed(self) -> int:
        """How many processes the kernel ended, because there was no memory left."""
        found = re.search(r"^oom_kill (\d+)$", self._read(self._interface.kills), re.MULTILINE)
        assert found is not None

        return int(found[1])

    def _set(self, name: str, value: str) -> None:
        (self._path / name).write_text(value)

    def _read(self, name: str) -> str:
        return (self._path / name).read_text()


@asynccontextmanager
async def open_control_group(controller: str) -> AsyncIterator[ControlGroup]:
    """Make a group; it is removed once nobody is in it any more."""
    parent, interface = _find(controller)
    path = parent / f"production-monitor-test-{uuid4().hex[:8]}"
    path.mkdir()
    try:
        yield ControlGroup(path, interface)
    finally:
        async with asyncio.timeout(10):
            while (path / "cgroup.procs").read_text():
                await asyncio.sleep(0.05)
        path.rmdir()


def _find(controller: str) -> tuple[Path, _Interface]:
    """Find out where a group of this controller can be made, or skip the test."""
    if os.geteuid() != 0:
        pytest.skip("only root may make control groups")
    if (_ROOT / controller / "cgroup.procs").exists():
        return _ROOT / controller, _First()
    if controller not in _offered():
        pytest.skip(f"there is no {controller} controller")

    # Only the root of the second version may hold processes and give a controller away.
    (_ROOT / "cgroup.subtree_control").write_text(f"+{controller}")

    return _ROOT, _Second()


def _offered() -> list[str]:
    try:
        return (_ROOT / "cgroup.controllers").read_text().split()
    except OSError:
        return []
