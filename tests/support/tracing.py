"""System calls under strace: which a program makes, and its death at one of them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import defaultdict
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator
    from pathlib import Path
    from random import Random

CALLS: Final = (
    "fdatasync",
    "pwrite64",
    "ftruncate",
    "unlink",
    "write",
    "writev",
    "sendto",
    "sendmsg",
    "recvfrom",
    "read",
    "connect",
    "openat",
    "close",
    "clone,clone3,vfork",
    "execve",
)
"""What the program does as it dies, several names being one kind: a commit becomes durable, a page
or a line is written, something is said or heard, a program is started."""

_KIND: Final = {name: kind for kind in CALLS for name in kind.split(",")}
_LINE: Final = re.compile(r"(?P<thread>\d+)\s+(?P<call>[a-z0-9_]+)\(")
_ATTACHED: Final = b" attached"


@dataclass(frozen=True, order=True)
class Moment:
    """The first time that any thread makes a call for the `number`-th time."""

    call: str
    number: int

    def __str__(self) -> str:
        return f"{self.call.split(',', 1)[0]}-{self.number}"

    @property
    def options(self) -> tuple[str, ...]:
        """What strace is told, so that the program dies there."""
        return (
            "-e",
            f"trace={self.call}",
            "-e",
            f"inject={self.call}:signal=SIGKILL:when={self.number}",
        )


def every_call() -> tuple[str, ...]:
    """Give what strace is told, so that it writes down all calls that count."""
    return "-e", f"trace={','.join(CALLS)}"


def find_moments(trace: Path, *, begins: str = "") -> list[Moment]:
    """Give the moments of a trace in their order.

    `begins` is in the line with which it begins to count; moments that were met before are left
    out, because the program would die at the first of them.
    """
    made: dict[tuple[str, str], int] = defaultdict(int)
    met: dict[Moment, bool] = {}
    begun = not begins
    for line in trace.read_text(errors="replace").splitlines():
        begun = begun or begins in line
        found = _LINE.match(line)
        if found is None or "resumed>" in line:
            continue
        kind = _KIND.get(found["call"])
        if kind is None:
            continue
        made[found["thread"], kind] += 1
        met.setdefault(Moment(kind, made[found["thread"], kind]), begun)

    return [moment for moment, counts in met.items() if counts]


def choose(moments: list[Moment], count: int, random: Random) -> list[Moment]:
    """Give so many of them: the commits first, then by chance, but of each kind of call alike.

    Are there fewer, they come again: no two runs are the same.
    """
    kinds: dict[str, list[Moment]] = defaultdict(list)
    for moment in moments:
        kinds[moment.call].append(moment)
    for known in kinds.values():
        random.shuffle(known)
    chosen: list[Moment] = []
    while len(chosen) < count:
        left = {kind: list(known) for kind, known in kinds.items()}
        while any(left.values()):
            chosen += [known.pop() for known in left.values() if known]

    return chosen[:count]


@asynccontextmanager
async def traced(pid: int, trace: Path, options: tuple[str, ...]) -> AsyncIterator[Process]:
    """Look at a process and its children from here on; let go of it in the end."""
    process = await asyncio.create_subprocess_exec(
        *("strace", "-f", "-p", str(pid), "-o", str(trace), *options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = b""
    try:
        async with asyncio.timeout(20):
            while _ATTACHED not in said:
                line = await process.stderr.readline()
                if not line:
                    raise AssertionError(f"strace cannot attach: {said.decode()}")
                said += line
        yield process
    finally:
        # Not `terminate`, which may reap what the event loop waits for.
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        await process.communicate()
