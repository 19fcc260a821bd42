"""Processes that are measured: what they and their children took of processor and memory."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PATIENCE: Final = 60.0


@dataclass(frozen=True)
class Usage:
    """What was taken until now: processor seconds, and bytes of memory at this moment."""

    cpu: float
    memory: int


def usage(*processes: subprocess.Popen[bytes]) -> Usage:
    """Add up process trees, with the children that ended."""
    stats = _stats()
    wanted = {process.pid for process in processes}
    while more := {pid for pid, (parent, _) in stats.items() if parent in wanted} - wanted:
        wanted |= more
    known = [used for pid, (_, used) in stats.items() if pid in wanted]

    return Usage(cpu=sum(one.cpu for one in known), memory=sum(one.memory for one in known))


def machine_busy() -> float:
    """Give the processor seconds that anybody took since the machine started."""
    user, nice, system, _idle, _wait, *interrupts = (
        int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )

    return (user + nice + system + sum(interrupts)) / _TICKS


def peak_memory(process: subprocess.Popen[bytes]) -> int:
    """Give the most memory that one process ever held, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]

    return int(line.split()[1]) * 1024


@contextmanager
def running(
    command: Sequence[str], *, log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends."""
    with log.open("wb") as written:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env={**os.environ, **(environ or {})},
        )
    try:
        yield process
        if process.poll() is not None:
            raise SystemExit(f"{command[0]} ended early:\n{log.read_text()[-2000:]}")
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def fetch(url: str) -> str:
    """Give what a URL on this machine answers."""
    with urllib.request.urlopen(url, timeout=_PATIENCE) as answer:
        text: str = answer.read().decode()

    return text


def wait_for(happened: Callable[[], object], what: str, *, look_every: float = 0.05) -> None:
    """Wait until something has happened."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            if happened():
                return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise SystemExit(f"waited in vain for {what}")
        time.sleep(look_every)


def _stats() -> dict[int, tuple[int, Usage]]:
    """Give the parent and the usage of each process."""
    found: dict[int, tuple[int, Usage]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        cpu = sum(map(int, fields[11:15])) / _TICKS
        found[int(folder.name)] = int(fields[1]), Usage(cpu=cpu, memory=int(fields[21]) * _PAGE)

    return found
