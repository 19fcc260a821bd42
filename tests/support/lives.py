"""Two ways in which the program lives and dies over stories: as rounds, and as a service."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from tests.support.account import Books
from tests.support.program import daemon, environment
from tests.support.stories import UNDER_WAY, Neighbourhood, Tally
from tests.support.tracing import Moment, every_call, find_moments, traced

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractAsyncContextManager

    from tests.support.program import Daemon

ROUNDS: Final = ("--cycles", "9", "--every", "20ms", "--output", "json")
BEGINS: Final = "connect("
"""What the first probe does: what comes before in a run is only its start."""

_LONGEST: Final = 60.0
_LONGEST_TRACED: Final = 30.0
"""A moment may be one that only commands come to: then the program lives, and they never end."""

_MOST_OPEN: Final = 3
"""Stories that wait for their end: one more death, and none would ever come to it."""

_AGAIN: Final = 0.25
"""How often it is killed twice for one story."""

_AT_START: Final = (("fdatasync", 6), ("pwrite64", 50), ("connect", 6))
"""Calls that only the store and the first conversations make, and how many of them come soon."""

_LAST_RUNS: Final = 4
"""Enough to open, to roll back or be put right by a person, to close, and to tell all that."""

_MOST_LAST_RUNS: Final = 60
"""What a receiver is told slowly is left to the next run, after so many deaths a lot of it."""

_PORTS: Final = (20_000, 32_000)
"""Below those from which the system takes any."""

_LOOK_EVERY: Final = 0.05
_KILLED: Final = -signal.SIGKILL


class Rounds:
    """One-shot runs, one for each story, of which each but the last are killed."""

    def __init__(self, around: Neighbourhood) -> None:
        self._around = around
        self._open: list[str] = []

    async def rehearse(self) -> list[Moment]:
        """Go through one story unharmed; give the moments of it."""
        self._begin()
        await self._run(*every_call())

        return find_moments(self._around.folder / "trace", begins=BEGINS)

    async def kill(self, moments: Iterable[Moment]) -> Tally:
        """Tell a story for each moment, and be killed in it; the next runs tell the rest."""
        tally = Tally()
        for moment in moments:
            self._begin()
            self._around.refuse_some()
            tally.moments += 1
            tally.killed += await self._run(*moment.options) == _KILLED
        for _ in range(_LAST_RUNS):
            self._look()
            await self._run()
        for _ in range(_MOST_LAST_RUNS):
            pending = [row for row in Books.read(self._around.store).deliveries if row.pending]
            if not pending:
                break
            now = datetime.now(UTC)
            soonest = min((row.not_before or now for row in pending), default=now)
            await asyncio.sleep(max((soonest - now).total_seconds(), 0))
            await self._run()

        return await self._around.judge(tally)

    def _begin(self) -> None:
        """Begin a story, while those before it may still have something to tell."""
        self._look()
        self._open.append(self._around.begin(len(self._around.told), self._open))

    def _look(self) -> None:
        """See how far the stories have come, and put right what a person has to."""
        if not self._around.store.exists():
            return

        books = Books.read(self._around.store)
        for name in list(self._open):
            incidents = [one for one in books.incidents if one.service == name]
            rollbacks = [one for one in books.rollbacks if one.service == name]
            turns = [(one.state.value, one.blocked or "") for one in rollbacks]
            self._around.go_on(name, len(incidents), turns)
            if incidents and not any(
                [*(one.open for one in incidents), *(one.running for one in rollbacks)]
            ):
                self._open.remove(name)

    async def _run(self, *options: str) -> int:
        """Run the program to its end, or to its death."""
        trace = str(self._around.folder / "trace")
        before = ("strace", "-f", "-o", trace, *options) if options else ()
        with self._around.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *before,
                *(sys.executable, "-m", "monitor", *ROUNDS),
                cwd=self._around.folder,
                env=environment(self._around.environ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
            )
            async with asyncio.timeout(_LONGEST):
                return await process.wait()


class _StillUntold(AssertionError):
    """Stories have come to no end in time."""


class Service:
    """A daemon that is killed in each story, and started again as systemd would."""

    def __init__(self, around: Neighbourhood) -> None:
        self._around = around
        self._open: list[str] = []

    async def rehearse(self) -> list[Moment]:
        """Go through one story unharmed; give the moments of it."""
        trace = self._around.folder / "trace"
        self._begin()
        async with self._daemon() as running:
            async with traced(running.process.pid, trace, every_call()):
                await self._until_told(running)
            await running.stop()

        return find_moments(trace)

    async def kill(self, moments: Iterable[Moment]) -> Tally:
        """Tell a story for each moment, and be killed in it; what is left is told after that."""
        tally = Tally()
        for moment in moments:
            if len(self._open) >= _MOST_OPEN:
                await self._settle()
            self._begin()
            self._around.refuse_some()
            if self._open[1:] and self._around.random.random() < _AGAIN:
                tally.killed_again += await self._die_at_start()
            tally.moments += 1
            tally.killed += await self._live(moment)
        await self._settle()

        return await self._around.judge(tally)

    async def _settle(self) -> None:
        """Live until all is told, and end in good order."""
        async with self._daemon() as running:
            await self._until_told(running)
            await running.stop()

    async def _live(self, moment: Moment) -> bool:
        """Live until the moment comes, or all is told; say whether it came."""
        trace = self._around.folder / "trace"
        async with (
            self._daemon() as running,
            traced(running.process.pid, trace, moment.options),
        ):
            with suppress(_StillUntold):
                await self._until_told(running, within=_LONGEST_TRACED)
            if running.process.returncode is None:
                await running.stop(signal.SIGKILL)
                return False

        return running.process.returncode == _KILLED

    async def _die_at_start(self) -> bool:
        """Be killed once more while what the last death left is taken up."""
        call, most = self._around.random.choice(_AT_START)
        moment = Moment(call, self._around.random.randint(1, most))
        with self._around.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *("strace", "-f", "-o", "/dev/null", *moment.options),
                *(sys.executable, "-m", "monitor", "run"),
                cwd=self._around.folder,
                env=environment({"PORT": str(self._find_port()), **self._around.environ}),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
            )
            async with asyncio.timeout(_LONGEST):
                return await process.wait() == _KILLED

    async def _until_told(self, running: Daemon, within: float = _LONGEST) -> None:
        """Wait until all stories are told, or the program has died over one."""
        status: dict[str, Any] = {}
        end = asyncio.get_running_loop().time() + within
        while self._open:
            try:
                status = await running.status()
            except (aiohttp.ClientError, TimeoutError, ValueError):
                # Dying takes a moment.
                async with asyncio.timeout(10):
                    await running.process.wait()
                return
            await self._around.attend(status)
            self._open = [one for one in self._open if not self._is_told(status, one)]
            if asyncio.get_running_loop().time() > end:
                raise _StillUntold(self._describe(status))
            await asyncio.sleep(_LOOK_EVERY)

    def _describe(self, status: dict[str, Any]) -> str:
        """Say of stories that come to no end where they stand."""
        shown = {
            name: [
                self._around.street[name],
                self._around.street.effects(name),
                *(one for one in status["checks"] if one["service"] == name),
                *(one for one in status["rollbacks"] if one["service"] == name),
                *(one for one in status["incidents"] if one["service"] == name),
            ]
            for name in self._open
        }

        behind = [one for one in status["notifiers"] if one["undelivered"]]

        return f"undelivered: {behind}; {shown}"

    def _is_told(self, status: dict[str, Any], name: str) -> bool:
        """Whether a story has come to its end, and nothing waits to be told."""
        incidents = [one for one in status["incidents"] if one["service"] == name]
        rollbacks = [one for one in status["rollbacks"] if one["service"] == name]
        turns = [(one["state"], one["blocked"] or "") for one in rollbacks]
        self._around.go_on(name, len(incidents), turns)

        under_way = [
            *(one["id"] for one in incidents if not one["resolved_at"]),
            *(one["id"] for one in rollbacks if one["state"] in UNDER_WAY),
        ]

        return bool(incidents) and not under_way and status["undelivered"] == 0

    def _begin(self) -> None:
        self._open.append(self._around.begin(len(self._around.told), self._open))

    def _daemon(self) -> AbstractAsyncContextManager[Daemon]:
        return daemon(self._around.folder, environ=self._around.environ, port=self._find_port())

    def _find_port(self) -> int:
        """Give one that none of all the connections around gets by chance meanwhile."""
        while True:
            port = self._around.random.randint(*_PORTS)
            with socket.socket() as trial, suppress(OSError):
                trial.bind(("127.0.0.1", port))
                return port
