"""How the command of a probe is run: so many at once, each ended with whoever waits for it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from monitor.options import format_duration
from monitor.runner.guard import Guard
from monitor.runner.local import NoThread, Run, Tie, begin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from monitor.runner.command import Finished

AT_ONCE: Final = 16
"""How many commands of probes run at once on this machine; others wait for a place."""

_LONGEST_GRACE: Final = timedelta(seconds=1)
_TO_BE_KILLED: Final = 0.8
"""The part of the grace after which a command is killed; the rest is for its end to be seen."""


class NotBegun(Exception):
    """Nothing was run, which is no fault of what was to be found out; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeCommand:
    """The command of an endpoint, as the configuration has it.

    `env` is its whole environment, `timeout` that of the endpoint. `fingerprint` tells it from any
    other.
    """

    endpoint: str
    fingerprint: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    stdin: bytes
    cwd: Path
    output_limit: int
    timeout: timedelta

    def run(self, tie: Tie) -> Run:
        """Say how it is run: asked to end (TERM) a little before the timeout, killed at the end."""
        grace = grace_of(self.timeout)

        return Run(
            argv=self.argv,
            env=dict(self.env),
            stdin=self.stdin,
            timeout=(self.timeout - grace).total_seconds(),
            limit=self.output_limit,
            cwd=self.cwd,
            kill_after=grace.total_seconds() * _TO_BE_KILLED,
            tie=tie,
        )


class Commands(Protocol):
    """Runs commands of probes; all probes share it."""

    async def run(self, command: ProbeCommand, begun: Callable[[], None]) -> Finished:
        """Run it once and wait for its end; raises NotBegun.

        `begun` is called when it begins: its timeout counts from then on. A cancelled call ends it.
        """
        ...

    async def close(self) -> None:
        """End what still runs, and give back what is held."""
        ...


def grace_of(timeout: timedelta) -> timedelta:
    """Give how long before the timeout a command is asked to end."""
    return min(timeout / 10, _LONGEST_GRACE)


class CommandsHere:
    """Runs them as processes of this machine, in sessions of their own."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._places = asyncio.Semaphore(at_once)
        self._guard = Guard()
        self._running: set[asyncio.Future[Finished]] = set()

    async def run(self, command: ProbeCommand, begun: Callable[[], None]) -> Finished:
        """Run it once a place is free; one that is ended keeps its place until it is gone."""
        await take_place(self._places, command.timeout, self._at_once)
        self._guard.stand_by()
        let_go = threading.Event()
        tie = Tie(let_go=let_go.is_set, started=self._guard.watch, ended=self._guard.forget)
        try:
            ended = begin(
                replace(command, env=dict([*command.env.items(), self._guard.mark])).run(tie)
            )
        except NoThread as error:
            self._places.release()
            raise NotBegun(f"the command could not be run: {error}") from error

        self._running.add(ended)
        ended.add_done_callback(self._give_back)
        begun()
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            let_go.set()
            raise

    async def close(self) -> None:
        """Wait for what was let go, which takes a second at most."""
        if self._running:
            await asyncio.wait(self._running, timeout=_LONGEST_GRACE.total_seconds())
        self._guard.close()

    def _give_back(self, ended: asyncio.Future[Finished]) -> None:
        self._running.discard(ended)
        self._places.release()
        if not ended.cancelled():
            ended.exception()  # nobody may be left who would look at it


async def take_place(places: asyncio.Semaphore, patience: timedelta, at_once: int) -> None:
    """Wait for a place among those at once; raises NotBegun."""
    try:
        async with asyncio.timeout(patience.total_seconds()):
            await places.acquire()
    except TimeoutError as error:
        raise NotBegun(
            f"{at_once} commands of probes run at once, and none of them ended within "
            f"{format_duration(patience)}"
        ) from error
